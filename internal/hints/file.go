package hints

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/tbctl/tbctl/engine"
	"github.com/tbctl/tbctl/inspect"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/archive"
	"github.com/tbctl/tbctl/internal/input"
	"github.com/tbctl/tbctl/internal/shell"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/vfs"
)

// ofFile is about a file that cannot be read as one.
func (k *Known) ofFile(err *input.FileError) string {
	path, ok := errors.AsType[*fs.PathError](err)
	switch {
	case !ok || path.Path != err.Name:
	case errors.Is(path, fs.ErrNotExist):
		return Missing(path.Path)
	case errors.Is(path, vfs.ErrDirectory):
		return "name the file in it: ls {file}"
	case errors.Is(path, vfs.ErrNotRegular):
		if strings.HasPrefix(path.Path, "/dev/fd/") || strings.HasPrefix(path.Path, "/proc/") { // a shell's <(COMMAND), which nobody else can open
			return "a stream comes through standard input: COMMAND | tbctl " + k.Command + " -; or write it to a file first"
		}
		return "a stream comes through standard input: cat {file} | tbctl " + k.Command + " -"
	}
	return ""
}

// Missing is about a file that is not there.
func Missing(name string) string {
	if strings.Contains(name, "://") {
		return "fetch it first: tbctl download " + shell.File(release.Redact(name))
	}
	if release.IsTag(name) {
		return fmt.Sprintf("%s is a release, not a file; fetch it: tbctl download %s", name, name)
	}
	if registryReference().MatchString(name) {
		return ofRegistry(name)
	}
	if name == "" || os.IsPathSeparator(name[0]) {
		return "check the name"
	}
	here, err := os.Getwd()
	if err != nil {
		return "the current directory was removed: " + hintNoCurrent
	}
	return "check the name; it begins at " + here
}

// Findings is about a file that breaks a rule of the format.
func (k *Known) Findings() string {
	switch {
	case k.Command == "verify":
		return "get the file again: it is not the one that was released"
	case k.About.File == "" || k.About.File == "-":
		return "get the file again, from a source that you trust"
	}
	return "get the file again; this lists every finding: tbctl verify {file}"
}

// ofRejected is about a new file that is not whole or not the one that was asked for.
func (k *Known) ofRejected(err *install.RejectedError) (hint string, detail any) {
	stranger := err.Kind.Name != "" && err.Kind.Name != inspect.NameDamaged
	switch {
	case errors.Is(err, install.ErrOtherOld):
		if k.Asked {
			return "look at who changed it: ls -l {target}-old", nil
		}
		return "look at who changed it: ls -l {target}-old; if it is the right file, name it: --sha256 " + err.Report.SHA256, nil
	case errors.Is(err, install.ErrUnvouched):
		return "compare it with the sha256 that the file was known by (tbctl history {target} --json, or that of its release)" + k.repeat("; if it is the right file, name it: ", "--sha256", err.Report.SHA256), nil
	case stranger && k.Command == "rollback":
		return "only multiversion binaries are put back; by hand, with the replicas stopped: cp {target}-old {target}.back && chown --reference={target} {target}.back && mv {target}.back {target}, and its capabilities: getcap, setcap", err.Kind
	case stranger:
		return Stranger(err.Kind), err.Kind
	case err.Report == nil || err.Report.Ok: // the cause knows
		return "", nil
	}
	return k.Findings(), nil
}

// ofArtifact is about what a source sent.
func (k *Known) ofArtifact(err *release.ArtifactError) (hint string, detail any) {
	if trust, ok := errors.AsType[*release.TrustError](err); ok {
		return k.ofTrust(trust), trust.Evidence
	}
	if k.fromTUF() { // it has a length and a SHA-256 that were signed
		return hintTUFOther, nil
	}
	if kind, ok := errors.AsType[*release.KindError](err); ok {
		return ofKind(kind), nil
	}
	if zip, ok := errors.AsType[*archive.FormatError](err); ok {
		return ofArchive(zip), zip
	}
	return "", nil
}

// ofTrust is about an artifact that nothing vouches for.
func (k *Known) ofTrust(trust *release.TrustError) string {
	switch {
	case trust.Failed() && k.fromTUF():
		return hintTUFOther
	case trust.Failed():
		return hintUntrusted
	case trust.Require == release.RequireSignature && k.names(engine.SchemeOCI):
		return "it was pushed without a signature: import it with --public-key KEY from where that is, and then push it again: tbctl store push store:RELEASE oci://HOST/REPOSITORY"
	case trust.Require == release.RequireSignature:
		return "the signature belongs beside the asset, as ASSET.minisig: minisign -S -m ASSET makes it"
	case trust.Require == release.RequireNothing:
		return "give what vouches for it, --sha256 HEX or --public-key KEY; --github-digest=false does without GitHub's digest"
	}
	return "give what vouches for it: --sha256 HEX, --public-key KEY, or a mirror with SHA256SUMS or ASSET.sha256"
}

// hintPlain is about an executable without multiversion sections.
const hintPlain = "TigerBeetle's releases up to 0.15.3, what tbctl extract takes out, and other programs have no multiversion sections: tbctl releases lists what there is"

// Stranger is about a file that is no multiversion binary.
func Stranger(kind inspect.Kind) string {
	switch archive.Kind(kind.Name) {
	case archive.KindELF, archive.KindPE, archive.KindMachO, archive.KindMachOUniversal:
		return hintPlain
	case archive.KindZip:
		return "unzip -l {file} shows what the archive holds"
	case archive.KindEmpty:
		return "nothing was written to it: get the file again"
	}
	return "name a TigerBeetle binary, a release archive (.zip) or a data file"
}

// ofArchive is about an archive that cannot be used.
func ofArchive(zip *archive.FormatError) string {
	switch zip.Rule {
	case archive.RuleStoredDescriptor:
		return "unzip it and name the executable in it: unzip {file}"
	case archive.RuleNoExecutable, archive.RuleTwoExecutables, archive.RuleNotRegular, archive.RuleName, archive.RuleEncrypted, archive.RuleMethod:
		return "a release's archive holds one plain executable, tigerbeetle or tigerbeetle.exe; unzip -l {file} shows what this one holds"
	}
	return "get the archive again"
}
