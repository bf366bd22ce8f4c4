package completions

import (
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// Request says which value is completed and what stands before it.
type Request struct {
	Command *kong.Node  // the command, or the program itself before one
	Value   *kong.Value // of a flag, if its Flag is not nil, or a positional argument
	Prefix  string      // what was typed of the value

	given map[*kong.Value][]string
}

// Given returns the values that the words before the cursor give to the flag or
// positional argument of that name, or nil.
func (r Request) Given(name string) []string {
	for value, texts := range r.given {
		if value.Name == name {
			return texts
		}
	}
	return nil
}

// Source knows the values that the grammar does not tell, such as those that
// depend on the host. It returns false for a value of which it knows nothing. It
// must be quick and must not wait for a network: a person has pressed a key.
type Source func(Request) (Answer, bool)

// Complete returns what could stand in the place of the last of the words, which
// are those after the program's name. No words are as one empty word. Words that
// the grammar does not know are passed over, as the person may mend them later; an
// unknown command leaves nothing to offer. The source may be nil.
func Complete(app *kong.Application, words []string, source Source) Answer {
	if len(words) == 0 {
		words = []string{""}
	}
	line := &line{node: app.Node, source: source, given: make(map[*kong.Value][]string)}
	for _, word := range words[:len(words)-1] {
		line.take(word)
	}
	return line.complete(words[len(words)-1])
}

// line is what the words so far mean.
type line struct {
	node       *kong.Node
	position   int        // index of the next positional argument
	awaiting   *kong.Flag // the flag whose value is the next word, or nil
	flagsEnded bool
	lost       bool // by an unknown command
	given      map[*kong.Value][]string
	source     Source
}

// take takes a whole word.
func (l *line) take(word string) {
	switch {
	case l.awaiting != nil:
		l.record(l.awaiting.Value, word)
		l.awaiting = nil
	case !l.flagsEnded && word == "--":
		l.flagsEnded = true
	case !l.flagsEnded && strings.HasPrefix(word, "--"):
		l.takeLong(word)
	case !l.flagsEnded && strings.HasPrefix(word, "-") && word != "-":
		l.takeShort(word[1:])
	case l.position < len(l.node.Positional):
		argument := l.node.Positional[l.position]
		l.record(argument, word)
		if argument.PassthroughMode != kong.PassThroughModeNone {
			l.flagsEnded = true
		}
		if !argument.IsCumulative() {
			l.position++
		}
	default:
		l.takeCommand(word)
	}
}

func (l *line) takeCommand(word string) {
	for _, child := range l.node.Children {
		if child.Type == kong.CommandNode && (child.Name == word || slices.Contains(child.Aliases, word)) {
			l.node, l.position = child, 0
			return
		}
	}
	l.lost = true
}

func (l *line) takeLong(word string) {
	name, value, hasValue := strings.Cut(word, "=")
	flag := l.flag(name)
	switch {
	case flag == nil:
		l.flagsEnded = l.passesThrough()
	case hasValue:
		l.record(flag.Value, value)
	case takesNoValue(flag):
		l.record(flag.Value, "true")
	default:
		l.awaiting = flag
	}
}

// takeShort takes letters behind a single dash: flags without a value, and at
// last perhaps one with a value, which may follow at once.
func (l *line) takeShort(letters string) {
	for index, letter := range letters {
		flag := l.shortFlag(letter)
		if flag == nil {
			l.flagsEnded = l.passesThrough()
			continue
		}
		if takesNoValue(flag) {
			l.record(flag.Value, "true")
			continue
		}
		rest := letters[index+len(string(letter)):]
		if rest == "" {
			l.awaiting = flag
		} else {
			l.record(flag.Value, rest)
		}
		return
	}
}

// passesThrough reports whether an unknown flag begins the arguments that are
// handed on as they are.
func (l *line) passesThrough() bool {
	return l.position < len(l.node.Positional) && l.node.Positional[l.position].PassthroughMode == kong.PassThroughModeAll
}

func (l *line) record(value *kong.Value, text string) {
	texts := []string{text}
	if separator := separatorOf(value); separator != "" {
		texts = strings.Split(text, separator)
	}
	l.given[value] = append(l.given[value], texts...)
}

// flags are those that may stand here: the command's own and those of the program.
func (l *line) flags() []*kong.Flag {
	var flags []*kong.Flag
	for node := l.node; node != nil; node = node.Parent {
		flags = append(flags, node.Flags...)
	}
	return flags
}

// flag finds a flag by its name with the dashes, or returns nil.
func (l *line) flag(name string) *kong.Flag {
	for _, flag := range l.flags() {
		if slices.Contains(longNames(flag), name) {
			return flag
		}
	}
	return nil
}

func (l *line) shortFlag(letter rune) *kong.Flag {
	for _, flag := range l.flags() {
		if flag.Short != 0 && flag.Short == letter {
			return flag
		}
	}
	return nil
}

// complete returns what could stand in the place of the unfinished word.
func (l *line) complete(word string) Answer {
	name, value, hasValue := strings.Cut(word, "=")
	switch {
	case l.awaiting != nil:
		return l.values(l.awaiting.Value, word)
	case l.lost:
		return Answer{}
	case l.flagsEnded || !strings.HasPrefix(word, "-"):
		return l.completeWord(word)
	case !strings.HasPrefix(word, "--"):
		return l.completeFlags(true)
	case !hasValue:
		return l.completeFlags(false)
	}
	flag := l.flag(name)
	if flag == nil {
		return Answer{}
	}
	return withPrefix(name+"=", l.values(flag.Value, value))
}

// completeWord completes an argument, a command, or offers flags where there is
// nothing else to say.
func (l *line) completeWord(word string) Answer {
	switch {
	case l.position < len(l.node.Positional):
		return l.values(l.node.Positional[l.position], word)
	case len(l.node.Children) > 0:
		return l.commands()
	case l.flagsEnded || word != "":
		return Answer{}
	}
	return l.completeFlags(false)
}

func (l *line) commands() Answer {
	var answer Answer
	for _, child := range l.node.Children {
		if child.Type == kong.CommandNode && !child.Hidden {
			answer.Candidates = append(answer.Candidates, Candidate{child.Name, child.Help})
		}
	}
	return answer
}

// completeFlags offers the flags that may still be given, with those of one
// letter if short.
func (l *line) completeFlags(short bool) Answer {
	var answer Answer
	for _, flag := range l.flags() {
		if flag.Hidden || l.excluded(flag) {
			continue
		}
		if short && flag.Short != 0 {
			answer.Candidates = append(answer.Candidates, Candidate{"-" + string(flag.Short), flag.Help})
		}
		answer.Candidates = append(answer.Candidates, Candidate{"--" + flag.Name, flag.Help})
		if flag.Tag.Negatable != "" {
			answer.Candidates = append(answer.Candidates, Candidate{longNames(flag)[1], "Not: " + flag.Help})
		}
	}
	return answer
}

// excluded reports whether a flag can't be given, or not once more: it was given
// and is not repeatable, or one was that excludes it.
func (l *line) excluded(flag *kong.Flag) bool {
	if _, given := l.given[flag.Value]; given && !flag.IsCumulative() && !flag.IsCounter() {
		return true
	}
	for _, other := range l.flags() {
		if _, given := l.given[other.Value]; !given || other == flag {
			continue
		}
		for _, group := range flag.Xor {
			if slices.Contains(other.Xor, group) {
				return true
			}
		}
	}
	return false
}

// values returns the candidates for a value of which prefix was typed.
func (l *line) values(value *kong.Value, prefix string) Answer {
	before := ""
	if separator := separatorOf(value); separator != "" {
		if at := strings.LastIndex(prefix, separator); at >= 0 {
			before, prefix = prefix[:at+len(separator)], prefix[at+len(separator):]
		}
	}
	answer := l.unlimited(Request{Command: l.node, Value: value, Prefix: prefix, given: l.given})
	given := l.given[value]
	if before != "" {
		given = append(slices.Clone(given), strings.Split(before, separatorOf(value))...)
	}
	if value.IsCumulative() {
		answer.Candidates = slices.DeleteFunc(answer.Candidates, func(c Candidate) bool { return slices.Contains(given, c.Value) })
	}
	return withPrefix(before, answer)
}

// unlimited returns every value that the grammar, the source or else the usual
// meaning of a placeholder tells.
func (l *line) unlimited(request Request) Answer {
	value := request.Value
	switch {
	case value.Enum != "":
		return Values(slices.DeleteFunc(value.EnumSlice(), func(text string) bool { return text == "" })...)
	case value.IsBool():
		return Values("true", "false")
	}
	if l.source != nil {
		if answer, ok := l.source(request); ok {
			return answer
		}
	}
	placeholder := ""
	if value.Flag != nil {
		placeholder = value.Flag.PlaceHolder
	}
	switch {
	case value.Tag.Type == "existingdir", placeholder == "DIR":
		return Answer{Names: Directories}
	case value.Tag.Type == "path", value.Tag.Type == "existingfile", placeholder == "FILE", value.Flag == nil:
		return Answer{Names: Files}
	}
	return Answer{}
}

// separatorOf returns what separates several values in one word, or "".
func separatorOf(value *kong.Value) string {
	if value.Flag == nil || !value.IsSlice() || value.Tag.Sep == -1 {
		return ""
	}
	return string(value.Tag.Sep)
}

func takesNoValue(flag *kong.Flag) bool { return flag.IsBool() || flag.IsCounter() }

// longNames are the long names of a flag with the dashes: its own, the negated
// one if there is one, and the aliases.
func longNames(flag *kong.Flag) []string {
	names := []string{"--" + flag.Name}
	switch flag.Tag.Negatable {
	case "":
	case "_":
		names = append(names, "--no-"+flag.Name)
	default:
		names = append(names, "--"+flag.Tag.Negatable)
	}
	for _, alias := range flag.Aliases {
		names = append(names, "--"+alias)
	}
	return names
}

// withPrefix puts a text before each candidate.
func withPrefix(prefix string, answer Answer) Answer {
	if prefix == "" {
		return answer
	}
	whole := Answer{Names: answer.Names}
	for _, candidate := range answer.Candidates {
		whole.Candidates = append(whole.Candidates, Candidate{prefix + candidate.Value, candidate.Help})
	}
	return whole
}
