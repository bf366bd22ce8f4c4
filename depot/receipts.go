package depot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/internal/sha"
	"github.com/tbctl/tbctl/vfs"
)

// Vouches says that a receipt is of evidence that held here.
func (r *Receipt) Vouches() bool { return r.Kind != KindImport && r.Kind != KindPlan }

// AddReceipts notes who vouched for an artifact, durably. The same receipt at another time replaces the one before. Those that are not
// believed are not kept.
func (d *Depot) AddReceipts(ctx context.Context, digest string, more ...Receipt) error {
	if err := d.addReceipts(ctx, digest, more); err != nil {
		return fmt.Errorf("note a receipt: %w", err)
	}
	return nil
}

func (d *Depot) addReceipts(ctx context.Context, digest string, more []Receipt) error {
	if !sha.Is(digest) {
		return &fs.PathError{Op: "write", Path: d.Path(digest), Err: fs.ErrInvalid}
	}
	for _, receipt := range more {
		for _, text := range append(receipt.Signed.texts(), receipt.Kind, receipt.By, receipt.Source, receipt.Who, receipt.Tag, receipt.AssetSHA256, receipt.Validator, receipt.Signature, receipt.Said) {
			if len(text) > receiptTextMax {
				return fmt.Errorf("%w: a text of %d bytes", vfs.ErrTooLarge, len(text))
			}
		}
	}
	lock, err := d.lock(ctx)
	if err != nil {
		return err
	}
	defer lock.Close()
	if file, _, err := d.open(digest); err != nil {
		return err
	} else if err = file.Close(); err != nil {
		return err
	}
	receipts, writers, err := d.Receipts(digest)
	if err != nil {
		return err
	}
	if !writers.None() { // in a file that this user has written it would be believed
		receipts = nil
	}
	for _, receipt := range more {
		receipts = slices.DeleteFunc(receipts, func(other Receipt) bool {
			other.Time, other.Signed = receipt.Time, receipt.Signed                       // the newest metadata counts
			return other == receipt || other.Kind == KindPlan && receipt.Kind == KindPlan // so that no plan pushes out what vouches
		})
		receipts = append(receipts, receipt)
	}
	receipts = receipts[max(0, len(receipts)-ReceiptsMax):]
	text, err := json.Marshal(receipts)
	for err == nil && len(text) > receiptsSizeMax {
		receipts = receipts[1:]
		text, err = json.Marshal(receipts)
	}
	if err != nil {
		return err
	}
	return durable.WriteFile(d.fsys, d.receiptsPath(digest), receiptMode, true, func(w io.Writer) error {
		_, err := w.Write(append(text, '\n'))
		return err
	})
}

// Doubt is why receipts are not believed that [Depot.Receipts] returned; "": they are.
func Doubt(writers vfs.Writers, err error) string {
	switch {
	case err != nil:
		return err.Error()
	case !writers.None():
		return writers.String()
	}
	return ""
}

// Receipts returns the receipts of an artifact, the oldest first, and who can have written them; none are none.
func (d *Depot) Receipts(digest string) ([]Receipt, vfs.Writers, error) {
	receipts := []Receipt{}
	dir, err := d.fsys.OpenDir(d.files())
	if err != nil {
		return receipts, vfs.Writers{}, err
	}
	defer dir.Close()
	file, err := dir.Open(digest + receiptSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return receipts, vfs.Writers{}, nil
	}
	if err != nil {
		return receipts, vfs.Writers{}, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return receipts, vfs.Writers{}, err
	}
	text, err := io.ReadAll(io.NewSectionReader(file, 0, receiptsSizeMax))
	if err != nil {
		return receipts, vfs.Writers{}, err
	}
	writers, err := vfs.WritersIn(dir, d.receiptsPath(digest), &info, d.fsys.Self())
	if err != nil {
		return receipts, writers, err
	}
	if err := fault.Unmarshal(text, &receipts); err != nil {
		return []Receipt{}, writers, fmt.Errorf("%s: %w", d.receiptsPath(digest), err)
	}
	if receipts == nil { // null
		receipts = []Receipt{}
	}
	return receipts, writers, nil
}
