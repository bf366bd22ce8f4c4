package watch

import (
	"errors"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/replica"
)

// What is seen to be so is not all that there may be.
func TestAllSeen(t *testing.T) {
	t.Parallel()
	one := []replica.Process{{PID: 1, Replica: true}}
	other := []replica.Process{{PID: 1}}
	hidden := replica.Unseen{Kind: replica.UnseenHidden, Reason: "/proc is mounted with hidepid=2"}
	late := replica.Unseen{Kind: replica.UnseenNoAnswer, Reason: "process 9 could not be looked at"}
	for _, test := range []struct {
		name      string
		processes []replica.Process
		unseen    []replica.Unseen
		met, want bool
		err       bool
	}{
		{"all is seen, and so", one, nil, true, true, false},
		{"all is seen, and not so", one, nil, false, false, false},
		{"some are hidden", one, []replica.Unseen{hidden}, true, false, true},
		{"some are hidden, and one that is seen is not so yet", one, []replica.Unseen{hidden}, false, false, false},
		{"all are hidden", nil, []replica.Unseen{hidden}, false, false, true},
		{"all but what is no replica are hidden", other, []replica.Unseen{hidden}, false, false, true},
		{"one did not answer in time", one, []replica.Unseen{late}, true, false, false},
		{"nobody is seen, and one did not answer in time", nil, []replica.Unseen{late}, false, false, false},
		{"both", one, []replica.Unseen{late, hidden}, true, false, true},
	} {
		w := watcher{processes: test.processes, unseen: test.unseen}
		got, err := w.allSeen(test.met)
		if got != test.want || errors.Is(err, ErrUnseen) != test.err || err != nil && !strings.HasSuffix(err.Error(), ": "+hidden.Reason) {
			t.Errorf("%s: %t, %v", test.name, got, err)
		}
	}
}
