package sizes

import "testing"

func TestLacking(t *testing.T) {
	t.Parallel()
	for want, got := range map[string]string{
		"/opt has 120 MiB free, and 141 MiB are needed":                                  Lacking("/opt", 120<<20, 0, 141<<20),
		"/opt has 0 B free, and 64 KiB are needed":                                       Lacking("/opt", 0, 0, 64<<10),
		"/opt has 147849215 bytes free, and 147849216 bytes are needed":                  Lacking("/opt", 141<<20-1, 0, 141<<20),
		"/store has 300 MiB free, 256 MiB of which are kept free, and 61 MiB are needed": Lacking("/store", 300<<20, 256<<20, 61<<20),
		"/store has 20 MiB free, 20 MiB of which are kept free, and 61 MiB are needed":   Lacking("/store", 20<<20, 256<<20, 61<<20),
		"/store has 20 MiB free, and 256 MiB are kept free":                              Lacking("/store", 20<<20, 256<<20, 0),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
