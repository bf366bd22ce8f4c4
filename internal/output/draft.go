package output

import (
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/internal/input"
	"github.com/tbctl/tbctl/verify"
	"github.com/tbctl/tbctl/vfs"
)

// Draft is a file that is being written and may be at its name already. As long as what comes is what is there, it goes nowhere: it
// takes no room then, and no right to write.
type Draft struct {
	*durable.Draft
	name   string
	path   string // where the name leads, once it was opened
	force  bool
	judge  func(verify.Report) error
	there  *input.File // nil: nothing is there, or it is to be replaced
	sha256 string      // of what is there
}

// NewDraft begins to write a file at the name. A file that is there and passes the judgement may be the same: it is compared with what
// comes, and stays. Any other is in the way unless force is set: the error matches [fs.ErrExist], of a directory [vfs.ErrDirectory].
func NewDraft(ctx context.Context, name string, force bool, judge func(verify.Report) error) (*Draft, error) {
	d := &Draft{name: name, path: name, force: force, judge: judge}
	var err error
	if d.sha256, err = d.look(ctx); err != nil {
		return nil, err
	}
	var size int64
	var existing io.ReaderAt
	if d.sha256 != "" {
		if d.there, err = input.Open(name); err != nil {
			return nil, err
		}
		existing, size = d.there, d.there.Size()
	}
	d.Draft, err = durable.NewDraft(existing, size, func() (durable.Store, error) {
		output, err := durable.Create(vfs.OS(), name, mode, force || existing != nil)
		if err != nil {
			return nil, err
		}
		d.path = output.Path()
		return output, nil
	})
	if err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// look returns the SHA-256 of a file that is there and may be the one that is written; "" if none is there, or it is to be replaced.
func (d *Draft) look(ctx context.Context) (string, error) {
	_, err := vfs.Lstat(d.name)
	if d.force || errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil { // whatever is there, it is not in the way
		return "", &fs.PathError{Op: "create", Path: d.name, Err: errors.Unwrap(err)}
	}
	file, err := input.Open(d.name)
	if errors.Is(err, vfs.ErrDirectory) {
		return "", err
	}
	if err != nil {
		return "", d.exists()
	}
	defer file.Close()
	report, err := verify.File(ctx, file, file.Size(), verify.Options{SHA256: true})
	if ctx.Err() != nil {
		return "", cmp.Or(err, ctx.Err())
	}
	if err != nil || d.judge(report) != nil {
		return "", d.exists()
	}
	return report.SHA256, nil
}

func (d *Draft) exists() error { return &fs.PathError{Op: "download", Path: d.name, Err: fs.ErrExist} }

// Path is the file's path.
func (d *Draft) Path() string { return d.path }

// Already reports whether a file was at the name that may be the one that is written.
func (d *Draft) Already() bool { return d.sha256 != "" }

// Verify judges what came, and looks again at what is at the name: it may have changed meanwhile.
func (d *Draft) Verify(ctx context.Context) (verify.Report, error) {
	report, err := verify.File(ctx, d, d.Size(), verify.Options{SHA256: true})
	if err == nil {
		err = d.judge(report)
	}
	if err == nil && d.sha256 != "" {
		d.sha256, err = d.look(ctx)
	}
	return report, err
}

// Commit puts what came at its name, unless it is there. What is there and is another file stays: the error matches [fs.ErrExist].
func (d *Draft) Commit(report verify.Report, warn func(string)) error {
	switch d.sha256 {
	case "":
		if err := d.Keep(); err != nil {
			return err
		}
		return commit(d.Store().(*durable.Output), warn)
	case report.SHA256:
		checkMode(d.name, warn)
		return nil
	}
	return d.exists()
}

// Close removes what was not committed.
func (d *Draft) Close() {
	if d.Draft != nil {
		_ = d.Abort() // the next draft of the name removes what stays
	}
	if d.there != nil {
		d.there.Close()
	}
}
