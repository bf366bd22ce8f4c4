package manual

// Tbctl are the facts of tbctl, but for the version, the date and the exit codes.
func Tbctl() Facts {
	return Facts{
		Description: `Puts TigerBeetle's multiversion binaries on servers: finds out everything that
could go wrong before the first byte is fetched, verifies what is on the disk, keeps
owner, mode, capabilities and label, and swaps the new file with the installed one in
one atomic, durable step. The replaced file stays beside it, for "tbctl rollback".

A command never asks and needs no terminal. What it found out is on standard output,
all else on standard error. With --json it prints exactly one document on standard
output, on failure too; its exit code is the same with and without it.`,
		Environment: []Entry{
			{Name: "TBCTL_CONFIG", Text: "The only configuration file to read."},
			{Name: "NO_COLOR", Text: "If not empty, nothing is coloured unless --color=always."},
			{Name: "GITHUB_TOKEN", Text: "Sent to GitHub's API, which then allows more requests, and to nobody else."},
			{Name: "HTTPS_PROXY, HTTP_PROXY, NO_PROXY", Text: "The proxy for downloads, and what needs none."},
			{Name: "XDG_CONFIG_HOME, XDG_STATE_HOME, XDG_CACHE_HOME", Text: "Where the files of a user who is not root are."},
		},
		Files: []Entry{
			{Name: "/etc/tbctl/config.toml", Text: `The host's configuration, see "tbctl config".`},
			{Name: "~/.config/tbctl/config.toml", Text: "The user's, which overrides it; without HOME, that of the home directory in the list of users."},
			{Name: "/var/lib/tbctl/history.jsonl", Text: "What was done on this host; ~/.local/state/tbctl/history.jsonl for users."},
			{Name: ".NAME.tbctl-state", Text: "Beside TARGET: what is known of it, for the next command."},
			{Name: ".NAME.tbctl-lock", Text: "Beside TARGET: the lock of the command that works on it."},
			{Name: "/var/cache/tbctl", Text: "Interrupted downloads and lists of releases; ~/.cache/tbctl for users."},
			{Name: "TARGET-old", Text: "The binary that the last installation replaced."},
		},
		Examples: `tbctl status
tbctl install 0.17.8 --dry-run
tbctl install 0.17.8
tbctl rollback --stopped --data-file /var/lib/tigerbeetle/0_0.tigerbeetle`,
	}
}
