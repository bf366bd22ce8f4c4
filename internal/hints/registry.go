package hints

import (
	"slices"
	"strings"

	"github.com/tbctl/tbctl/engine"
	"github.com/tbctl/tbctl/internal/shell"
)

// repository is the registry that the command line names, and its repository without a tag; where it names none, what they are called.
func (k *Known) repository() (host, repository string) {
	for _, arg := range k.Line {
		_, place, is := strings.Cut(arg, engine.SchemeOCI)
		if !is {
			continue
		}
		host, rest, _ := strings.Cut(place, "/")
		host = host[strings.LastIndex(host, "@")+1:] // what is before it may be secret
		rest, _, _ = strings.Cut(rest, "@")
		rest, _, _ = strings.Cut(rest, ":")
		return shell.Word(host), shell.Word(host + "/" + rest)
	}
	return "HOST", "HOST/REPOSITORY"
}

// fromTUF says that the command line names a TUF repository.
func (k *Known) fromTUF() bool { return k.names(engine.SchemeTUF) || k.names(engine.SchemeTUFPlain) }

func (k *Known) names(scheme string) bool {
	return slices.ContainsFunc(k.Line, func(arg string) bool { return strings.Contains(arg, scheme) })
}

// registryHints are about what is in registries and TUF repositories, and about what controllers share.
func registryHints() []namedHint {
	return []namedHint{
		{err: engine.ErrOCIDenied, ask: func(k *Known, _ error) string {
			host, _ := k.repository()
			return "docker login " + host + ", or podman login --authfile ~/.docker/config.json " + host + "; and may that user do it there?"
		}},
		{err: engine.ErrOCIMissing, ask: func(k *Known, _ error) string {
			_, repository := k.repository()
			return "name a tag that is there: --from oci://" + repository + ":TAG; skopeo list-tags docker://" + repository + " shows them all"
		}},
		{err: engine.ErrOCIDigest, ask: func(k *Known, _ error) string {
			_, repository := k.repository()
			return "name the tag, --from oci://" + repository + ":TAG, or the digest that tbctl store push printed"
		}},
		{err: engine.ErrOCI, ask: func(k *Known, _ error) string {
			_, repository := k.repository()
			return "look at what is there: skopeo inspect --raw docker://" + repository + ":TAG; or take the release from elsewhere: tbctl store import RELEASE"
		}},
		{err: engine.ErrOCIAway, ask: func(k *Known, _ error) string {
			host, _ := k.repository()
			return "check the name, the network and a proxy, and what the registry says: curl -i https://" + host + "/v2/; then run the same command again"
		}},
		{err: engine.ErrOCIReference, hint: "write it as oci://HOST/REPOSITORY:TAG, the repository in small letters"},
		{err: engine.ErrOCILogin, hint: "look at it: ~/.docker/config.json, or the file of that name in the directory DOCKER_CONFIG"},
		{err: engine.ErrOCIMoved, hint: "run the same command again"},
		{err: engine.ErrPlain, ask: ofPlain},
		{err: engine.ErrAuthority, hint: "name the authority that signed the server's certificate: --ca-file FILE"},
		{err: engine.ErrCAFile, hint: "--ca-file takes the certificates of an authority, as PEM: openssl x509 -noout -subject -in FILE"},
		{err: engine.ErrSilent, hint: "look at the members: etcdctl --endpoints=HOST:2379,… endpoint status; without other controllers: --state files"},

		{err: engine.ErrTUFReference, ask: ofTUFReference},
		{err: engine.ErrTUFNoRoot, hint: "the first time name the root.json that the publisher gave you by another way than this server: --root FILE"},
		{err: engine.ErrTUFExpired, hint: "the publisher signs it again (tbctl-engines tuf sign); if that was done, an old copy is served: look at the server, and at this machine's clock (date)"},
		{err: engine.ErrTUFOlder, hint: "an old copy is served: look at the server, or take another one; what was seen before stays trusted"},
		{err: engine.ErrTUFMixed, hint: "the copy on the server is not whole, or forged: copy all of it again, timestamp.json last, then run the same command again"},
		{err: engine.ErrTUFUnsigned, hint: "ask the publisher, by another way than this server; a signature is added by: tbctl-engines tuf sign"},
		{err: engine.ErrTUFLong, hint: "look at what the server sends: it is no metadata of a release"},
		{err: engine.ErrTUFMetadata, hint: "look at what the server sends, and at the file of --root"},
		{err: engine.ErrTUFRoot, hint: "ask the publisher which root.json is theirs, by another way than this server"},
		{err: engine.ErrTUFKept, hint: "look who can have changed it; to begin again from the root that you trust, move the directory away and name that root: --root FILE"},
		{err: engine.ErrTUFOthers, hint: "look who can have changed it; to begin again from the root that you trust, move the directory away, let only root and you write the one above it, and name that root: --root FILE"},
		{err: engine.ErrTUFTarget, hint: "a target is named RELEASE/tigerbeetle-PLATFORM or RELEASE/tigerbeetle-PLATFORM.zip; the publisher adds one: tbctl-engines tuf add"},
		{err: engine.ErrTUFOther, hint: hintTUFOther},
		{err: engine.ErrTUFMissing, hint: hintTUFMissing},
		{err: engine.ErrTUFAway, hint: "check the address, the network and a proxy; what is in the store is installed without it: tbctl store list"},
	}
}

const (
	hintTUFOther   = "the copy on the server was changed, or is not whole: look at the server, then run the same command again"
	hintTUFMissing = "check the address: below it are metadata/timestamp.json and targets; and whether the copy on the server is whole"
	// hintLost is about a run that another controller may have followed by now.
	hintLost = "run the same command again when etcd answers, or without other controllers: --state files --take-over"
)

// ofPlain is about a server that speaks without TLS.
func ofPlain(k *Known, _ error) string {
	const risk = "if everybody on the way may read and change what comes: "
	switch {
	case k.names(engine.SchemeTUF):
		return "without TLS it is tuf+http://HOST/PATH with --plain-http; who is on the way can withhold what comes, and nothing else"
	case k.Asked, !strings.HasPrefix(k.Command, "store"):
		return risk + "?plain-http=on after the repository"
	}
	return risk + k.Line.With("--plain-http")
}

// ofTUFReference is about a text that does not name a TUF repository.
func ofTUFReference(k *Known, _ error) string {
	plain := slices.Contains(k.Line, "--plain-http")
	switch {
	case k.names(engine.SchemeTUFPlain) && !plain:
		return k.Line.With("--plain-http")
	case k.names(engine.SchemeTUF) && plain:
		return "leave out --plain-http: that is of tuf+http://HOST/PATH"
	}
	return "tbctl store import 0.17.8 --from tuf+https://HOST/PATH --root root.json"
}
