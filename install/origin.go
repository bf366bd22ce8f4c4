package install

// Origin says where a fetched file came from.
type Origin struct {
	Source string `json:"source"`          // a path, a URL without credentials, or "-"
	Asset  string `json:"asset,omitempty"` // the name of the file fetched, if it is another
	Entry  string `json:"entry,omitempty"` // the executable's name in an archive

	SHA256 string `json:"sha256,omitempty"` // of what was fetched, as it was fetched
	Size   int64  `json:"size,omitempty"`   // of what was fetched, in bytes

	// ExecutableSHA256 is of the bytes that were written. If the fetch knows it, it
	// need not be computed again before the swap: the file is verified by its own
	// checksums then.
	ExecutableSHA256 string `json:"executable_sha256,omitempty"`

	// Tag is what the source calls the release, such as 0.17.5-1, if it does.
	Tag string `json:"tag,omitempty"`

	// Validator is under which the server gave the bytes, such as a strong ETag.
	Validator string `json:"validator,omitempty"`

	Fetched int64 `json:"fetched,omitempty"` // bytes that came over the network in this run
	Resumed int64 `json:"resumed,omitempty"` // bytes that an earlier run had fetched
	Held    int64 `json:"held,omitempty"`    // bytes that this host had, in files that are or were installed or in its store

	Trust   []Trust `json:"trust,omitempty"`
	Trusted bool    `json:"trusted"` // a digest or a signature from outside the file held
}

// Trust is one piece of evidence of where a file comes from.
type Trust struct {
	Kind   string `json:"kind"`         // such as "sha256" or "minisign"
	Status string `json:"status"`       // "held", "failed", "absent" or "not-checked"
	Of     string `json:"of,omitempty"` // "asset" or "executable": whose bytes
	Detail string `json:"detail,omitempty"`
}

// StatedByPlan is the detail of evidence of which this host knows no more than that the plan of a rollout says that it held.
const StatedByPlan = "the plan of the rollout says that it held: it was not checked here"
