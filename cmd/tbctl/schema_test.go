package main

import (
	"bytes"
	"crypto/sha256"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/inspect"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/archive"
	"github.com/tbctl/tbctl/internal/demo"
	"github.com/tbctl/tbctl/internal/manual"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/remote"
	"github.com/tbctl/tbctl/report"
	"github.com/tbctl/tbctl/watch"
)

// schemaTypes are the commands with the types of their results.
var schemaTypes = map[string][]reflect.Type{
	"install":       {reflect.TypeFor[install.Outcome]()},
	"rollback":      {reflect.TypeFor[install.Outcome]()},
	"inspect":       {reflect.TypeFor[report.Inspected]()},
	"verify":        {reflect.TypeFor[report.Verified]()},
	"status":        {reflect.TypeFor[report.Status]()},
	"watch":         {reflect.TypeFor[watch.Outcome]()},
	"history":       {reflect.TypeFor[report.History]()},
	"config":        {reflect.TypeFor[report.Config]()},
	"releases":      {reflect.TypeFor[report.Releases]()},
	"download":      {reflect.TypeFor[report.Downloaded]()},
	"pack":          {reflect.TypeFor[report.Packed]()},
	"extract":       {reflect.TypeFor[report.Extracted]()},
	"demo":          {reflect.TypeFor[demo.Result]()},
	"version":       {reflect.TypeFor[versionInfo]()},
	"completion":    {reflect.TypeFor[completionScript]()},
	"man":           {reflect.TypeFor[manual.Page](), reflect.TypeFor[manual.Written]()},
	"exec":          {}, // the result is the program's
	"fleet-status":  {reflect.TypeFor[report.Fleet]()},
	"store-import":  {reflect.TypeFor[report.StoreImported]()},
	"store-list":    {reflect.TypeFor[report.StoreListed]()},
	"store-verify":  {reflect.TypeFor[report.StoreVerified]()},
	"store-push":    {reflect.TypeFor[storePushed]()},
	"store-prune":   {reflect.TypeFor[report.StorePruned]()},
	"store-serve":   {reflect.TypeFor[report.StoreServed]()},
	"fleet-plan":    {reflect.TypeFor[report.FleetPlan]()},
	"fleet-stage":   {reflect.TypeFor[report.Rollout]()},
	"fleet-arm":     {reflect.TypeFor[report.Rollout]()},
	"fleet-promote": {reflect.TypeFor[report.Rollout]()},
	"fleet-abort":   {reflect.TypeFor[report.Rollout]()},
	"fleet-run":     {reflect.TypeFor[report.Rollout]()},
	"fleet-stop":    {reflect.TypeFor[report.Rollout]()},
	"fleet-report":  {reflect.TypeFor[report.FleetReport]()},
	"host":          {}, // it answers another tbctl, see TestRemoteSchema
}

// schemaDetails are the types of what an error knows besides.
var schemaDetails = []reflect.Type{
	reflect.TypeFor[durable.Holder](), reflect.TypeFor[[]release.Evidence](), reflect.TypeFor[inspect.Kind](),
	reflect.TypeFor[multiversion.FormatError](), reflect.TypeFor[archive.FormatError](), reflect.TypeFor[release.RateLimitError](),
	reflect.TypeFor[release.TransferError](), reflect.TypeFor[fleet.Fence](),
}

var textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()

// same compares a schema with a Go type: the same fields, and those that are
// always there required.
func (s schemas) same(file string, schema map[string]any, goType reflect.Type, path string) []error {
	file, schema, err := s.resolve(file, schema)
	if err != nil {
		return []error{err}
	}
	if choices, ok := schema["oneOf"].([]any); ok && len(choices) == 2 && goType.Kind() == reflect.Pointer {
		return s.same(file, choices[0].(map[string]any), goType, path) // or null
	}
	if goType.Kind() == reflect.Pointer {
		goType = goType.Elem()
	}
	switch {
	case goType == reflect.TypeFor[time.Time](), goType.Implements(textMarshaler), goType.Kind() == reflect.Interface:
		return nil
	case goType.Kind() == reflect.Slice && goType.Elem().Kind() != reflect.Uint8, goType.Kind() == reflect.Array:
		items, ok := schema["items"].(map[string]any)
		if !ok {
			return []error{fmt.Errorf("%s: no array in the schema", path)}
		}
		return s.same(file, items, goType.Elem(), path+"[]")
	case goType.Kind() != reflect.Struct:
		return nil
	}
	return s.sameStruct(file, schema, goType, path)
}

func (s schemas) sameStruct(file string, schema map[string]any, goType reflect.Type, path string) []error {
	properties, _ := schema["properties"].(map[string]any)
	required, _ := schema["required"].([]any)
	if schema["additionalProperties"] != false {
		return []error{fmt.Errorf("%s: the schema lets other fields pass", path)}
	}
	var failed []error
	seen := make(map[string]bool)
	for _, field := range reflect.VisibleFields(goType) {
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "-" || name == "" || !field.IsExported() {
			continue
		}
		seen[name] = true
		rule, ok := properties[name].(map[string]any)
		if !ok {
			failed = append(failed, fmt.Errorf("%s.%s: is not in %s", path, name, file))
			continue
		}
		if always := !strings.Contains(options, "omit"); always != slices.Contains(required, any(name)) {
			failed = append(failed, fmt.Errorf("%s.%s: is it always there? %v, says Go", path, name, always))
		}
		failed = append(failed, s.same(file, rule, field.Type, path+"."+name)...)
	}
	for name := range properties {
		if !seen[name] {
			failed = append(failed, fmt.Errorf("%s.%s: is in %s alone", path, name, file))
		}
	}
	return failed
}

// TestRemoteSchema requires that what is said with tbctl host is in its schema.
func TestRemoteSchema(t *testing.T) {
	t.Parallel()
	all := mustSchemas(t)
	defs := all["host.json"]["$defs"].(map[string]any)
	types := map[string]reflect.Type{
		"AdvisoriesRequest": reflect.TypeFor[remote.AdvisoriesRequest](), "ClaimRequest": reflect.TypeFor[remote.ClaimRequest](), "ClaimAnswer": reflect.TypeFor[remote.ClaimAnswer](), "PhaseRequest": reflect.TypeFor[remote.PhaseRequest](),
		"SwapRequest": reflect.TypeFor[remote.SwapRequest](), "StoreAnswer": reflect.TypeFor[remote.StoreAnswer](), "Artifact": reflect.TypeFor[depot.Artifact](),
		"ErrorAnswer": reflect.TypeFor[remote.ErrorAnswer](), "RestartRequest": reflect.TypeFor[remote.RestartRequest](), "Restarted": reflect.TypeFor[host.Restarted](),
		"CheckRequest": reflect.TypeFor[remote.CheckRequest](), "Checked": reflect.TypeFor[host.Checked](), "Check": reflect.TypeFor[host.Check](),
	}
	for name := range defs {
		if types[name] == nil {
			t.Errorf("%s is said by nobody", name)
		}
	}
	for name, goType := range types {
		schema, ok := defs[name].(map[string]any)
		if !ok {
			t.Errorf("%s is not in the schema", name)
			continue
		}
		for _, err := range all.same("host.json", schema, goType, name) {
			t.Error(err)
		}
	}
}

// TestSchemaFields requires that the schemas and the Go types have the same fields.
func TestSchemaFields(t *testing.T) {
	t.Parallel()
	all := mustSchemas(t)
	var grammar cli
	parser, err := newParser(&grammar, nil, t.Output(), 80)
	if err != nil {
		t.Fatal(err)
	}
	for _, leaf := range parser.Model.Leaves(true) {
		name := strings.ReplaceAll(strings.TrimPrefix(leaf.FullPath(), "tbctl "), " ", "-")
		types, ok := schemaTypes[name]
		if !ok {
			t.Errorf("%s: no schema is compared with its result", name)
		}
		if len(types) == 0 {
			continue
		}
		file := name + ".json"
		properties, _ := all[file]["properties"].(map[string]any)
		result, ok := properties["result"].(map[string]any)
		if !ok {
			t.Errorf("%s: no result", file)
			continue
		}
		for index, goType := range types {
			schema := result["oneOf"].([]any)[index].(map[string]any)
			for _, err := range all.same(file, schema, goType, name) {
				t.Error(err)
			}
		}
	}
	defs := all["common.json"]["$defs"].(map[string]any)
	failure := defs["DocumentError"].(map[string]any)
	compare := map[reflect.Type]map[string]any{reflect.TypeFor[report.Error](): failure}
	choices := failure["properties"].(map[string]any)["detail"].(map[string]any)["oneOf"].([]any)
	for index, goType := range schemaDetails {
		compare[goType] = choices[index].(map[string]any)
	}
	for goType, schema := range compare {
		for _, err := range all.same("common.json", schema, goType, goType.String()) {
			t.Error(err)
		}
	}
	for _, err := range append(all.same("envelope.json", all["envelope.json"], reflect.TypeFor[report.Document[any]](), "document"),
		all.same("watch-event.json", all["watch-event.json"], reflect.TypeFor[report.Event](), "event")...) {
		t.Error(err)
	}
	for _, err := range all.same("fleet-status-line.json", all["fleet-status-line.json"], reflect.TypeFor[report.FleetLine](), "line") {
		t.Error(err)
	}
	for _, err := range all.same("fleet-rollout-line.json", all["fleet-rollout-line.json"], reflect.TypeFor[report.RolloutLine](), "line") {
		t.Error(err)
	}
	for _, err := range all.same("store-serving.json", all["store-serving.json"], reflect.TypeFor[report.Serving](), "serving") {
		t.Error(err)
	}
}

// schemaRuns are command lines for TestSchemaOutput, and the exit codes that they have.
// $FIX is the fixtures, $DIR a directory of its own.
var schemaRuns = []struct {
	code int
	line string
}{
	{0, "version"}, {0, "--version"}, {0, "config"}, {0, "completion bash"}, {0, "man install"}, {0, "man --dir $DIR/man"},
	{2, ""}, {2, "nonsense"}, {2, "install"}, {2, "inspect --nonsense"}, {2, "pack $FIX/plain -o $DIR/p --release 1.2.3"},
	{0, "inspect $FIX/v2 --running 0.17.1"}, {0, "inspect $FIX/v2.zip $FIX/windows.exe $FIX/macos $FIX/data-0.17.1"},
	{3, "inspect $FIX/text"}, {3, "inspect $FIX/plain $FIX/v1"}, {3, "inspect $FIX/cut"}, {3, "inspect $FIX/cut.zip"}, {1, "inspect $FIX/nothing"},
	{0, "verify $FIX/v2 --digest"}, {0, "verify $FIX/v2 --against $FIX/v1"}, {3, "verify $FIX/flipped"}, {3, "verify $FIX/text"},
	{4, "verify $FIX/stranger --against $FIX/v1"}, {0, "verify $FIX/macos"}, {3, "verify $FIX/cut.zip"},
	{0, "extract $FIX/v2 --all $DIR/all"}, {0, "extract $FIX/v2 0.17.1 -o $DIR/one"}, {3, "extract $FIX/v2 1.2.3 -o $DIR/two"},
	{0, "pack $DIR/one -o $DIR/packed --release 0.17.9 --past $FIX/v2 --commit 1e2826ecdee2f6ba617c1ee10903dfa01974d437 --client-min 0.17.1"}, {3, "pack $FIX/text -o $DIR/p --release 0.17.9 --commit 0123456789012345678901234567890123456789 --client-min 0.15.3 --past $FIX/v2"},
	{0, "releases --mirror $FIX/mirror --last 0"}, {1, "releases --mirror $FIX/v1"},
	{0, "download $FIX/v2.zip -o $DIR/got"}, {3, "download $FIX/cut.zip -o $DIR/got2"}, {0, "download $FIX/v2.zip -o $DIR/got"}, {1, "download $FIX/v1 -o $DIR/got"},
	{3, "download $FIX/v2.zip -o $DIR/got3 --require digest"},
	{1, "status $DIR/tb"}, {4, "rollback $DIR/tb"}, {0, "history $DIR/tb"},
	{1, "watch $DIR/tb --until armed=0.17.2 --timeout 1ms"}, {0, "watch $DIR/tb --timeout 1ms"},
	{0, "install $FIX/v1 $DIR/tb"}, {0, "install $FIX/v1 $DIR/tb"}, {0, "install $FIX/v2 $DIR/tb --dry-run"},
	{0, "install $FIX/v2.zip $DIR/tb --sha256 $SUM"}, {3, "install $FIX/cut $DIR/tb"}, {3, "install $FIX/page.zip $DIR/tb"},
	{3, "install $FIX/v2 $DIR/tb --require digest"}, {3, "install 0.17.9 $DIR/tb --mirror $FIX/mirror"},
	{3, "install $FIX/v2-again $DIR/tb --sha256 $SUM"}, {4, "install $FIX/stranger $DIR/tb"}, {4, "install $FIX/stranger $DIR/tb --dry-run"},
	{4, "install $FIX/v2-again $DIR/tb --data-file $FIX/data-0.14.0"}, {1, "install $FIX/nothing $DIR/tb"}, {1, "install $FIX/v1 $DIR/no/tb"},
	{1, "install http://127.0.0.1:1/tigerbeetle.zip $DIR/tb"},
	{0, "status $DIR/tb"}, {1, "watch $DIR/tb --until armed=0.17.2 --timeout 1ms --running 0.17.1"}, {0, "watch $DIR/tb --timeout 1ms"},
	{0, "rollback $DIR/tb --stopped --running 0.17.1 --dry-run"}, {0, "rollback $DIR/tb --stopped --running 0.17.1"}, {0, "history"},
	{1, "fleet status nowhere.invalid"}, {2, "fleet status -x"}, {2, "fleet status --fleet $FIX/nothing"},
	{0, "store list"}, {0, "store import $FIX/v2.zip --sha256 $SUM"}, {0, "store import $FIX/v2"}, {3, "store import $FIX/flipped"}, {3, "store import $FIX/v1 --require digest"},
	{0, "store list"}, {0, "install store:0.17.2 $DIR/tb3"}, {0, "store serve --listen 127.0.0.1:0 --session"}, {2, "store serve --token-file $FIX/v1"},
	{0, "store verify"}, {1, "store verify sha256:0000000000000000000000000000000000000000000000000000000000000000"}, {2, "store verify nonsense"}, {2, "store push nonsense oci://127.0.0.1/x"},
	{2, "store import 0.17.8 --from tuf+http://127.0.0.1/x"},
	{0, "store prune --dry-run --keep 0"}, {0, "store prune"}, {2, "store prune --keep=-1"},
	{2, "fleet plan 0.17.8 nowhere.invalid"}, {1, "fleet plan sha256:" + strings.Repeat("0", 64) + " nowhere.invalid -o $DIR/plan.json"},
	{2, "fleet stage $FIX/nothing"}, {2, "fleet stage $FIX/text"}, {2, "fleet arm $FIX/text"}, {2, "fleet promote $FIX/text"},
	{2, "fleet promote $FIX/text a --yes"}, {2, "fleet abort $FIX/text"}, {2, "fleet run $FIX/text"}, {2, "fleet stop $FIX/text"},
	{2, "fleet stage $FIX/text --parallel 0"}, {2, "fleet run $FIX/text --stable 0s"}, {2, "fleet promote $FIX/text a --max-failed=-1"}, {2, "fleet arm $FIX/text --timeout 0s"},
	{2, "fleet promote $FIX/text a --yes"}, {2, "fleet abort $FIX/text"}, {2, "fleet run $FIX/text"}, {2, "fleet stop $FIX/text"}, {2, "fleet report $FIX/text --offline"},
	{0, "releases $DIR/tb --mirror $FIX/mirror"}, {2, "exec"}, {3, "exec --release 1.2.3 $FIX/v1"},
}

// TestSchemaOutput runs every command with --json, with success and with each kind of
// failure, and validates what it prints.
func TestSchemaOutput(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("skipped: the fixtures are for linux, elsewhere they do not fit the host")
	}
	all := mustSchemas(t)
	fixtures, dir := fixtureDir(t), t.TempDir()
	zip, err := os.ReadFile(filepath.Join(fixtures, "v2.zip"))
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{
		"FIX": fixtures, "DIR": dir, "SUM": fmt.Sprintf("%x", sha256.Sum256(zip)), "HOME": dir, "TBCTL_CONFIG": os.DevNull,
		"TBCTL_CACHE_DIR": filepath.Join(dir, "cache"),
	}
	if err := os.Mkdir(filepath.Join(dir, "state"), 0o755); err != nil { // that history may be asked for
		t.Fatal(err)
	}
	getenv := func(name string) string { return env[name] }
	seen := make(map[string]int)
	for _, one := range schemaRuns {
		args := []string{}
		for _, word := range strings.Fields(one.line) {
			args = append(args, os.Expand(word, getenv))
		}
		if one.line != "--version" && one.line != "" {
			args = append(args, "--state-dir", filepath.Join(dir, "state"))
		}
		if one.line == "exec" || strings.HasPrefix(one.line, "exec ") {
			args = append([]string{"--json"}, args...) // flags behind the file are the program's
		} else {
			args = append(args, "--json")
		}
		var out, errs bytes.Buffer
		code := run(args, streams{in: strings.NewReader(""), out: &out, err: &errs}, getenv)
		if code != one.code || errs.Len() > 0 {
			t.Errorf("%s: exit code %d, want %d, standard error %q\n%s", one.line, code, one.code, &errs, &out)
		}
		command, err := all.checkOutput(out.Bytes())
		if err != nil {
			t.Errorf("%s: %v\n%s", one.line, err, &out)
		}
		seen[command]++
		if err := decodes(command, out.Bytes()); err != nil {
			t.Errorf("%s: %v\n%s", one.line, err, &out)
		}
	}
	for command, types := range schemaTypes {
		if seen[strings.ReplaceAll(command, "-", " ")] == 0 && len(types) > 0 && command != "demo" { // demo has a script, whose output is validated too
			t.Errorf("no run of %s", command)
		}
	}
}

// decodes requires that a Go program finds in the types of package report all that a command
// printed, and nothing else.
func decodes(command string, output []byte) error {
	switch command {
	case "status":
		return decodesAs[report.Document[*report.Status]](output)
	case "history":
		return decodesAs[report.Document[*report.History]](output)
	case "inspect":
		return decodesAs[report.Document[*report.Inspected]](output)
	case "verify":
		return decodesAs[report.Document[*report.Verified]](output)
	case "releases":
		return decodesAs[report.Document[*report.Releases]](output)
	case "fleet status":
		return decodesAs[report.Document[*report.Fleet]](output)
	case "fleet stage", "fleet arm", "fleet promote", "fleet abort", "fleet run", "fleet stop":
		return decodesAs[report.Document[*report.Rollout]](output)
	case "fleet report":
		return decodesAs[report.Document[*report.FleetReport]](output)
	case "fleet plan":
		return decodesAs[report.Document[*report.FleetPlan]](output)
	case "install", "rollback":
		return decodesAs[report.Document[*report.Outcome]](output)
	}
	return decodesAs[report.Document[any]](output)
}

func decodesAs[Document any](output []byte) error {
	for decoder := json.NewDecoder(bytes.NewReader(output)); ; {
		var line json.RawMessage
		if err := decoder.Decode(&line); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		var value any
		if bytes.Contains(line, []byte(`"event": {`)) || bytes.Contains(line, []byte(`"event":{`)) {
			value = new(report.Event)
		} else if bytes.HasPrefix(line, []byte(`{"version":1,"command":"store serve","address":`)) {
			value = new(report.Serving)
		} else {
			value = new(Document)
		}
		strict := json.NewDecoder(bytes.NewReader(line))
		strict.DisallowUnknownFields()
		if err := strict.Decode(value); err != nil {
			return err
		}
		again, err := report.Encode(value, "")
		var printed, encoded any
		if err = errors.Join(err, json.Unmarshal(line, &printed), json.Unmarshal(again, &encoded)); err != nil {
			return err
		}
		if !reflect.DeepEqual(printed, encoded) {
			return fmt.Errorf("decoded and encoded again it is %s", again)
		}
	}
}

// TestSchemaRefuses is the negative control: the validator finds what is wrong.
func TestSchemaRefuses(t *testing.T) {
	t.Parallel()
	all := mustSchemas(t)
	good := `{"version":1,"command":"version","ok":true,"exit_code":0,"result":{"version":"devel","go":"go1","platform":"linux/amd64"},"error":null,"warnings":[]}`
	if _, err := all.checkOutput([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, change := range [][2]string{
		{`"version":1`, `"version":2`}, {`"ok":true`, `"ok":1`}, {`"exit_code":0`, `"exit_code":8`}, {`"go":"go1",`, ``},
		{`"go":"go1"`, `"go":"go1","extra":1`}, {`"warnings":[]`, `"warnings":null`}, {`"warnings":[]`, `"warnings":[1]`},
		{`"error":null`, `"error":{"kind":"odd","message":"m"}`}, {`"error":null,`, ``}, {`"result":{`, `"result":[],"x":{`},
	} {
		bad := strings.Replace(good, change[0], change[1], 1)
		if _, err := all.checkOutput([]byte(bad)); err == nil {
			t.Errorf("nothing is found wrong with %s", bad)
		}
	}
}
