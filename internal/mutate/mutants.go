//go:build unix && mutate

package main

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"strings"
)

// mutant is one change: the bytes of a file from start to end become others.
type mutant struct {
	in         listed
	file       string
	line       int
	start, end int
	with       string
	what       string
}

// String is FILE:LINE and the change.
func (m mutant) String() string {
	name := m.file
	if here, err := os.Getwd(); err == nil {
		if relative, err := filepath.Rel(here, name); err == nil {
			name = relative
		}
	}
	return fmt.Sprintf("%s:%d: %s", name, m.line, m.what)
}

// finder finds the changes to one file.
type finder struct {
	in    listed
	files *token.FileSet
	info  *types.Info
	scope *types.Scope
	path  string
	text  []byte
	found []mutant
}

var errorType = types.Universe.Lookup("error").Type()

func (f *finder) source(node ast.Node) string {
	return string(f.text[f.files.Position(node.Pos()).Offset:f.files.Position(node.End()).Offset])
}

// add notes that a node becomes another text.
func (f *finder) add(node ast.Node, with, format string, args ...any) {
	at := f.files.Position(node.Pos())
	what := strings.Join(strings.Fields(fmt.Sprintf(format, args...)), " ")
	f.found = append(f.found, mutant{f.in, f.path, at.Line, at.Offset, f.files.Position(node.End()).Offset, with, what})
}

func (f *finder) remove(node ast.Node) { f.add(node, "", "without %s", f.source(node)) }

// visit finds the changes to a node that [ast.Inspect] comes to.
func (f *finder) visit(node ast.Node) bool {
	switch n := node.(type) {
	case *ast.GenDecl:
		return n.Tok == token.VAR || n.Tok == token.CONST
	case *ast.IfStmt:
		f.add(n.Cond, "!("+f.source(n.Cond)+")", "if not %s", f.source(n.Cond))
	case *ast.SwitchStmt:
		f.cases(n)
	case *ast.BinaryExpr:
		f.operands(n)
	case *ast.ReturnStmt:
		for _, result := range n.Results {
			if f.isError(result) && !f.isNil(result) {
				f.add(result, "nil", "return nil instead of %s", f.source(result))
			}
		}
	case *ast.BlockStmt:
		f.statements(n.List)
	case *ast.CaseClause:
		f.statements(n.Body)
	case *ast.CommClause:
		f.statements(n.Body)
	case *ast.AssignStmt:
		if len(n.Rhs) == 1 && len(n.Lhs) == 1 && f.isError(n.Rhs[0]) && isCall(n.Rhs[0]) {
			f.add(n.Rhs[0], "error(nil)", "no call of %s", f.source(n.Rhs[0]))
		}
	case *ast.BasicLit:
		if n.Kind == token.INT {
			f.add(n, "("+n.Value+"+1)", "%s+1", n.Value)
		}
	case *ast.Ident:
		f.constant(n)
	}
	return true
}

// cases negates the cases of a switch without a tag, and leaves them out.
func (f *finder) cases(n *ast.SwitchStmt) {
	if n.Tag != nil {
		return
	}
	for _, clause := range n.Body.List {
		for _, condition := range clause.(*ast.CaseClause).List {
			f.add(condition, "!("+f.source(condition)+")", "case not %s", f.source(condition))
			f.add(condition, "false", "without case %s", f.source(condition))
		}
	}
}

// operands leaves out each side of && and ||, and moves the bounds of comparisons.
func (f *finder) operands(n *ast.BinaryExpr) {
	neutral := map[token.Token]string{token.LAND: "true", token.LOR: "false"}[n.Op]
	if neutral != "" {
		f.add(n.X, neutral, "without %s %s", f.source(n.X), n.Op)
		f.add(n.Y, neutral, "without %s %s", n.Op, f.source(n.Y))
	}
	if other, ok := map[token.Token]string{token.LSS: "<=", token.LEQ: "<", token.GTR: ">=", token.GEQ: ">"}[n.Op]; ok {
		f.add(n, f.source(n.X)+" "+other+" "+f.source(n.Y), "%s %s %s", f.source(n.X), other, f.source(n.Y))
	}
}

// statements removes statements, and drops the errors that they give.
func (f *finder) statements(list []ast.Stmt) {
	for _, statement := range list {
		switch n := statement.(type) {
		case *ast.ExprStmt, *ast.DeferStmt, *ast.GoStmt, *ast.IncDecStmt, *ast.SendStmt:
			f.remove(n)
		case *ast.AssignStmt:
			if n.Tok != token.DEFINE {
				f.remove(n)
			}
			last, ok := n.Lhs[len(n.Lhs)-1].(*ast.Ident)
			if ok && len(n.Lhs) > 1 && last.Name == "err" && len(n.Rhs) == 1 {
				f.add(n, f.source(n)+"; err = nil", "no error of %s", f.source(n.Rhs[0]))
			}
		}
	}
}

// constant makes true false, and a constant of a named type the next one of that type.
func (f *finder) constant(n *ast.Ident) {
	object, ok := f.info.Uses[n].(*types.Const)
	if !ok {
		return
	}
	if object.Pkg() == nil {
		if other := map[string]string{"true": "false", "false": "true"}[n.Name]; other != "" {
			f.add(n, other, "%s instead of %s", other, n.Name)
		}
		return
	}
	named, ok := object.Type().(*types.Named)
	if !ok || object.Pkg() != named.Obj().Pkg() || object.Parent() != f.scope {
		return
	}
	if other := f.next(object, named); other != "" {
		f.add(n, other, "%s instead of %s", other, n.Name)
	}
}

// next is the constant after one in the order of their names, with another value.
func (f *finder) next(object *types.Const, named *types.Named) string {
	var first string
	for _, name := range f.scope.Names() {
		other, ok := f.scope.Lookup(name).(*types.Const)
		if !ok || !types.Identical(other.Type(), named) || constant.Compare(other.Val(), token.EQL, object.Val()) {
			continue
		}
		if name > object.Name() {
			return name
		}
		if first == "" {
			first = name
		}
	}
	return first
}

func (f *finder) isError(expression ast.Expr) bool {
	return types.Identical(f.info.TypeOf(expression), errorType)
}

func (f *finder) isNil(expression ast.Expr) bool { return f.info.Types[expression].IsNil() }

func isCall(expression ast.Expr) bool {
	_, ok := expression.(*ast.CallExpr)
	return ok
}
