package host_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/standin"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/verify"
	"github.com/tbctl/tbctl/vfs"
)

func siteOf(target string, said host.Said) *host.Site {
	return &host.Site{Installer: &install.Installer{FS: vfs.OS()}, Target: target, Said: said}
}

func fetching(data []byte) install.Fetch {
	return func(_ context.Context, w io.Writer) (install.Origin, error) {
		_, err := w.Write(data)
		return install.Origin{Source: "test"}, err
	}
}

// TestSiteInstall: what runs is remembered by each run that has the lock, also by one that refuses, and counts
// when nothing runs any more; forgetting the data file ends that.
func TestSiteInstall(t *testing.T) {
	t.Parallel()
	old, next, stranger := standin.Binary(t, "0.17.6", "0.17.5"), standin.Binary(t, "0.17.7", "0.17.6"), standin.Binary(t, "0.17.9", "0.17.8")
	binary, dataFile := standin.Install(t, old)
	replica := standin.Start(t, binary, dataFile, standin.Options{})
	replica.Must("listening")

	var refused *install.RefusedError
	site := siteOf(binary, host.Said{})
	if _, err := site.Install(t.Context(), install.Request{}, fetching(stranger), false); !errors.As(err, &refused) {
		t.Fatalf("with a replica at 0.17.6: %v", err)
	}
	if len(site.Report.Processes) != 1 || !slices.Contains(site.Report.DataFiles, dataFile) {
		t.Errorf("the last look found %d processes and %q", len(site.Report.Processes), site.Report.DataFiles)
	}
	replica.Kill()
	if query := site.Query(); !slices.Equal(query.Remembered, []string{dataFile}) || query.Target != binary {
		t.Errorf("remembered are %q of %s", query.Remembered, query.Target)
	}
	var needed bool
	outcome, err := site.Install(t.Context(), install.Request{}, fetching(stranger), true)
	if errors.As(err, &refused) {
		needed = slices.ContainsFunc(refused.Report.Findings, func(f verify.Finding) bool {
			return f.Name == verify.CheckRunning && f.Status == verify.Failed && f.Release == testbin.Release("0.17.6")
		})
	}
	if !needed || !outcome.DryRun {
		t.Errorf("a dry run without the replica: %v", err)
	}
	if outcome, err = site.Install(t.Context(), install.Request{}, fetching(next), false); err != nil || outcome.Result != install.ResultInstalled {
		t.Fatalf("%v", err)
	}
	if _, err = site.Rollback(t.Context(), install.Request{}, true); !errors.As(err, &refused) {
		t.Errorf("a rollback of what may have been offered: %v", err)
	}
	site.Said.Stopped = true
	if outcome, err = site.Rollback(t.Context(), install.Request{}, true); err != nil || outcome.Plan.New.Release != testbin.Release("0.17.6") {
		t.Errorf("the plan of a rollback: %v", err)
	}
	if outcome, err = site.Rollback(t.Context(), install.Request{}, false); err != nil || outcome.Result != install.ResultRolledBack {
		t.Errorf("a rollback: %v", err)
	}
	if query := siteOf(binary, host.Said{Forget: []string{dataFile}}).Query(); len(query.Remembered) != 0 {
		t.Errorf("forgotten, but remembered: %q", query.Remembered)
	}
}

// TestSiteLookFails: an error of the look comes before anything is fetched.
func TestSiteLookFails(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "missing")
	site := siteOf(filepath.Join(t.TempDir(), "tigerbeetle"), host.Said{DataFiles: []string{missing}})
	fetch := func(context.Context, io.Writer) (install.Origin, error) {
		t.Error("fetched")
		return install.Origin{}, nil
	}
	var dataFile *host.DataFileError
	outcome, err := site.Install(t.Context(), install.Request{}, fetch, false)
	if outcome != nil || !errors.As(err, &dataFile) || !errors.Is(err, os.ErrNotExist) || err.Error() != "--data-file: open "+missing+": no such file or directory" {
		t.Errorf("%v", err)
	}
}

func TestSiteJudge(t *testing.T) {
	t.Parallel()
	old, next, stranger := testbin.Build(t, testbin.Spec{Current: testbin.Release("0.17.2"), Past: testbin.PastOf("0.17.1")}),
		testbin.Build(t, testbin.Spec{Current: testbin.Release("0.17.3"), Past: testbin.PastOf("0.17.2")}), testbin.Build(t, testbin.Spec{Current: testbin.Release("0.17.9")})
	target := filepath.Join(t.TempDir(), "tigerbeetle")
	testbin.WriteFile(t, target, old)
	installed := verify.Installed{Binary: testbin.Parse(t, old)}
	for _, test := range []struct {
		name string
		next []byte
		said host.Said
		ok   bool
	}{
		{"the next one", next, host.Said{}, true},
		{"nothing in common", stranger, host.Said{}, false},
		{"what the operator says", next, host.Said{Running: []multiversion.Release{testbin.Release("0.17.1")}}, false},
	} {
		report, err := siteOf(target, test.said).Judge(t.Context(), testbin.Parse(t, test.next), installed)
		if err != nil || report.Ok != test.ok {
			t.Errorf("%s: %v, %v: %s", test.name, report.Ok, err, report.Diagnosis)
		}
	}
}

func TestSiteWaitArmed(t *testing.T) {
	t.Parallel()
	binary, dataFile := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	site := siteOf(binary, host.Said{})
	if count, err := site.WaitArmed(t.Context(), time.Minute, false, nil); count != 0 || err != nil {
		t.Errorf("without a replica: %d, %v", count, err)
	}
	standin.Start(t, binary, dataFile, standin.Options{}).Must("listening")
	standin.Replace(t, binary, standin.Binary(t, "0.17.7", "0.17.6"))
	if count, err := site.WaitArmed(t.Context(), time.Minute, false, nil); count != 1 || err != nil {
		t.Errorf("with a replica: %d, %v", count, err)
	}
}

// A refusal by what runs is in the history whenever it came: before the operation began, or by its own judgement.
func TestSiteRefusalRecorded(t *testing.T) {
	t.Parallel()
	old, next := standin.Binary(t, "0.17.6", "0.17.5"), standin.Binary(t, "0.17.7", "0.17.6")
	binary, dataFile := standin.Install(t, old)
	site := siteOf(binary, host.Said{})
	site.Journal = &install.Journal{FS: vfs.OS(), Dir: t.TempDir()}
	if _, err := site.Install(t.Context(), install.Request{}, fetching(next), false); err != nil {
		t.Fatal(err)
	}
	p := standin.Start(t, binary, dataFile, standin.Options{})
	p.Must("listening")
	var runs *host.StillRunsError
	site.Said.Stopped = true
	for _, dryRun := range []bool{true, false} {
		_, err := site.Rollback(t.Context(), install.Request{}, dryRun)
		if !dryRun && !errors.As(err, &runs) {
			t.Errorf("error %v", err)
		}
	}
	if _, err := site.Install(t.Context(), install.Request{}, fetching(old), false); !errors.As(err, &runs) {
		t.Errorf("error %v", err)
	}
	site.Said.Stopped = false
	if _, err := site.Rollback(t.Context(), install.Request{}, false); err == nil || errors.As(err, &runs) {
		t.Errorf("error %v", err)
	}
	history, err := site.Journal.Read("")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, record := range history.Records {
		got = append(got, string(record.Operation)+" "+string(record.Result))
		if record.Target != binary || record.Result == install.ResultRefused && record.Error == "" {
			t.Errorf("got %+v", record)
		}
	}
	if want := []string{"install installed", "rollback refused", "install refused", "rollback refused"}; !slices.Equal(got, want) {
		t.Errorf("recorded are %q, want %q", got, want)
	}
}

// A rollback that is done already is that, also with the operator's word that nothing runs and a replica that was started since.
func TestSiteBackAlready(t *testing.T) {
	t.Parallel()
	old, next := standin.Binary(t, "0.17.6", "0.17.5"), standin.Binary(t, "0.17.7", "0.17.6")
	binary, dataFile := standin.Install(t, old)
	site := siteOf(binary, host.Said{Stopped: true, DataFiles: []string{dataFile}})
	site.Journal = &install.Journal{FS: vfs.OS(), Dir: t.TempDir()}
	if _, err := site.Install(t.Context(), install.Request{}, fetching(next), false); err != nil {
		t.Fatal(err)
	}
	if outcome, err := site.Rollback(t.Context(), install.Request{}, false); err != nil || !outcome.Changed {
		t.Fatalf("%+v, %v", outcome, err)
	}
	standin.Start(t, binary, dataFile, standin.Options{}).Must("listening")
	if outcome, err := site.Rollback(t.Context(), install.Request{}, false); err != nil || outcome.Result != install.ResultAlready || outcome.Changed {
		t.Errorf("%+v, %v", outcome, err)
	}
	if _, err := site.Rollback(t.Context(), install.Request{Again: true}, false); !errors.As(err, new(*host.StillRunsError)) {
		t.Errorf("forward again: %v", err)
	}
}
