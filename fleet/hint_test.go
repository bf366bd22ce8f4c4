package fleet

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/fault"
)

// only are reasons for which there is nothing to do: of a note, and of what is only waited for.
var only = []ProblemReason{
	ProblemStrange, ProblemStandbys, ProblemSeveral, ProblemAdvisory, ProblemDespite, ProblemRoomUnseen, ProblemNothingToDo,
	ProblemStaging, ProblemChecking, ProblemClaiming, ProblemSwapping, ProblemUpgrading, ProblemNotStable, ProblemStarted, ProblemNoAnswer, ProblemView, ProblemPeers,
	ProblemPeersUnseen, ProblemBehind, ProblemArmedUnseen, ProblemLook, ProblemRestoring, ProblemWave, ProblemSoak, ProblemParallel, ProblemSource,
}

// reasons are all that package fleet has a constant for.
func reasons(t *testing.T) []ProblemReason {
	file, err := parser.ParseFile(token.NewFileSet(), "problem.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var found []ProblemReason
	ast.Inspect(file, func(node ast.Node) bool {
		value, ok := node.(*ast.ValueSpec)
		if !ok || len(value.Values) != 1 {
			return true
		}
		switch v := value.Values[0].(type) {
		case *ast.BasicLit:
			text, err := strconv.Unquote(v.Value)
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, ProblemReason(text))
		case *ast.CallExpr: // of an action's kind
			for _, kind := range []ActionKind{ActionStage, ActionCheck, ActionClaim, ActionPhase, ActionSwap, ActionRestart} {
				if ident, ok := v.Args[0].(*ast.Ident); ok && strings.EqualFold(ident.Name, "Action"+string(kind)) {
					found = append(found, ProblemReason(kind))
				}
			}
		}
		return true
	})
	return found
}

// TestReasons: each reason that a script may compare has a constant, is told of in the document, and says what to do.
func TestReasons(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("../docs/fleet.md")
	if err != nil {
		t.Fatal(err)
	}
	all := reasons(t)
	if len(all) < 70 {
		t.Fatalf("only %d reasons: %q", len(all), all)
	}
	for _, reason := range all {
		if !strings.Contains(string(document), "`"+string(reason)+"`") {
			t.Errorf("docs/fleet.md does not have %s", reason)
		}
		hint := reason.Hint("tb1")
		if none := slices.Contains(only, reason); none != (hint == "") {
			t.Errorf("%s: the hint %q", reason, hint)
		}
		if regexp.MustCompile(`\bHOST\b`).MatchString(hint) {
			t.Errorf("%s: %q names no host", reason, hint)
		}
	}
	for _, kind := range []ActionKind{ActionStage, ActionCheck, ActionClaim, ActionPhase, ActionSwap, ActionRestart} {
		if !slices.Contains(all, ProblemReason(kind)) {
			t.Errorf("%s has no constant", kind)
		}
	}
	for _, reason := range []Reason{ReasonGeneration, ReasonPlanDiffers, ReasonEpoch, ReasonHeld, ReasonNotClaimed, ReasonSecret} {
		if problem := ProblemReason(reason); !slices.Contains(all, problem) || problem.Class() != fault.Fenced {
			t.Errorf("%s has no constant, or is of class %s", reason, problem.Class())
		}
	}
}
