package shelf

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/verify"
)

// locationMax is how much of a source is noted, in bytes.
const locationMax = 2 << 10

// Importing says what is brought into a depot, and how.
type Importing struct {
	Artifact release.Artifact
	Source   string // where it comes from, for the receipts
	SizeHint int64  // of the executable in bytes, 0 if it is not known
	Who      string // user and machine

	// Fetch fetches the artifact, as [release.Artifact.Fetch] does; nil: with that.
	Fetch func(context.Context, *durable.Draft) (release.Fetched, error)
	// Judge is asked about what came, before it is stored. Its error ends the import.
	Judge func(verify.Report) error

	// PublicKey is the one of the artifact's options.
	PublicKey string
	// Signed is what the metadata says that vouches for it; nil: there is none.
	Signed *depot.Signed
}

// Imports is what came of it.
type Imports struct {
	Artifact Item            `json:"artifact"`
	Already  bool            `json:"already"` // it was in the store
	Fetched  release.Fetched `json:"fetched"`
	Report   verify.Report   `json:"report"`
}

// Import brings an artifact into a depot: fetched straight into it, verified as a whole before it appears there, and with receipts
// of what vouched for it. What is there already, as a digest tells or the record of an earlier import of the same
// source, is read and not fetched again; if it has changed it is set aside, and fetched. On an error nothing was
// stored, unless it is of class unknown.
func Import(ctx context.Context, d *depot.Depot, do Importing) (Imports, error) {
	result, known, err := do.known(ctx, d)
	if err == nil && !known {
		result, err = do.fetch(ctx, d)
	}
	if err != nil {
		return result, err
	}
	digest := result.Report.SHA256
	if err := d.AddReceipts(ctx, digest, do.receipts(digest, result.Fetched)...); err != nil {
		return result, err
	}
	stored, err := d.Stat(digest)
	result.Artifact = Describe(d, stored)
	return result, err
}

// known looks for what the fetch would bring. What is near is read in any case.
func (do *Importing) known(ctx context.Context, d *depot.Depot) (Imports, bool, error) {
	if do.Artifact.Near() {
		return Imports{}, false, nil
	}
	artifacts, err := d.List()
	if err != nil {
		return Imports{}, false, err
	}
	for index := range artifacts {
		artifact := &artifacts[index]
		had := release.Had{AssetSHA256: artifact.SHA256, AssetSize: artifact.Size, ExecutableSHA256: artifact.SHA256, ExecutableSize: artifact.Size, Location: PrefixDigest + artifact.SHA256}
		if from := importedFrom(artifact, do.Source); artifact.Disbelieved == "" && from != nil && from.AssetSHA256 != "" {
			had.AssetSHA256, had.AssetSize = from.AssetSHA256, from.AssetSize
			if from.Source == clip(do.Source) {
				had.Location, had.Validator = do.Artifact.Location, from.Validator
			}
		}
		fetched, known, err := do.Artifact.Known(ctx, had)
		if err != nil {
			return Imports{Fetched: fetched}, false, err
		}
		if !known {
			continue
		}
		result := Imports{Already: true, Fetched: fetched}
		result.Report, err = check(ctx, d, artifact.SHA256)
		if errors.Is(err, depot.ErrDigest) || errors.Is(err, fs.ErrNotExist) {
			return Imports{}, false, nil // it is brought again
		}
		if err == nil {
			err = do.Judge(result.Report)
		}
		return result, err == nil, err
	}
	return Imports{}, false, nil
}

// importedFrom is the newest receipt of an import from a source; else of any; nil if there is none.
func importedFrom(artifact *depot.Artifact, source string) *depot.Receipt {
	for index := range slices.Backward(artifact.Receipts) {
		if receipt := &artifact.Receipts[index]; receipt.Kind == depot.KindImport && receipt.Source == clip(source) {
			return receipt
		}
	}
	return Imported(artifact)
}

// check verifies an artifact of the depot. One whose bytes have changed is set aside, and a [depot.ErrDigest].
func check(ctx context.Context, d *depot.Depot, digest string) (report verify.Report, err error) {
	for range depot.ChecksMax {
		var changed bool
		if report, changed, err = read(ctx, d, digest); !changed {
			return report, err
		}
		if err = d.Check(ctx, digest); err != nil {
			return report, err
		}
	}
	return report, fmt.Errorf("%s: %w", d.Path(digest), depot.ErrExchanged)
}

// read verifies the file of an artifact, and says whether it is another one, or becomes one.
func read(ctx context.Context, d *depot.Depot, digest string) (report verify.Report, changed bool, err error) {
	file, err := d.Open(digest)
	if err != nil {
		return report, false, err
	}
	defer file.Close()
	report, err = verify.File(ctx, file, file.Size(), verify.Options{SHA256: true})
	return report, errors.Is(err, verify.ErrChanged) || err == nil && report.SHA256 != digest, err
}

// fetch brings it.
func (do *Importing) fetch(ctx context.Context, d *depot.Depot) (result Imports, err error) {
	draft, err := durable.NewDraft(nil, 0, func() (durable.Store, error) { return d.Create(do.SizeHint) })
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, draft.Abort()) }()
	if do.Fetch != nil {
		result.Fetched, err = do.Fetch(ctx, draft)
	} else {
		result.Fetched, err = do.Artifact.Fetch(ctx, draft)
	}
	if err != nil {
		return result, err
	}
	result.Report, err = verify.File(ctx, draft, draft.Size(), verify.Options{SHA256: true})
	if err == nil {
		err = do.Judge(result.Report)
	}
	if err != nil {
		return result, err
	}
	_, statErr := d.Stat(result.Report.SHA256)
	result.Already = statErr == nil
	_, err = draft.Store().(*depot.Writer).Commit(ctx, result.Report.SHA256)
	return result, err
}

// receipts are what is noted of a fetch: where it came from, and each that vouched.
func (do *Importing) receipts(digest string, fetched release.Fetched) []depot.Receipt {
	base := depot.Receipt{Source: clip(do.Source), Who: clip(do.Who), Time: time.Now().UTC()}
	from := base
	from.Kind, from.Tag = depot.KindImport, string(fetched.Tag)
	from.AssetSHA256, from.AssetSize, from.Validator = fetched.AssetSHA256, fetched.AssetSize, fetched.Validator
	if len(from.Validator) > locationMax {
		from.Validator = ""
	}
	noted := []depot.Receipt{}
	for _, evidence := range fetched.Evidence {
		if evidence.Status != release.StatusHeld {
			continue
		}
		receipt := base
		receipt.Kind = string(evidence.Kind)
		switch {
		case evidence.Kind == release.EvidenceMinisign:
			receipt.By = release.PublicKeyLine(do.PublicKey)
			if fetched.AssetSHA256 == digest && len(evidence.Signature) <= locationMax {
				receipt.Signature = evidence.Signature
			}
		case evidence.Of == "asset" && fetched.AssetSHA256 != "":
			receipt.By = fetched.AssetSHA256
		default:
			receipt.By = digest
		}
		if evidence.Kind == release.EvidenceTUF {
			receipt.Signed = do.Signed
		}
		noted = append(noted, receipt)
	}
	return append(noted, from)
}

// clip keeps what is noted short.
func clip(text string) string { return text[:min(len(text), locationMax)] }
