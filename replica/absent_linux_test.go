package replica_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/tbctl/tbctl/replica"
)

// A replica that has no executable for a while, since on a busy host its threads take long to make place for what it executes, is
// waited for; one that has none for longer does not count, and is not waited for.
func TestFindAbsent(t *testing.T) {
	t.Parallel()
	for pause, want := range map[time.Duration]int{150 * time.Millisecond: 1, time.Second: 0} {
		target := installed(t)
		tr := newTree(t)
		tr.process(7, target, "mnt:[1]", target, "start", "--addresses=3000", "/none")
		tr.unlink("7/exe")
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			linked := make(chan struct{})
			go func() {
				defer close(linked)
				time.Sleep(pause)
				tr.link("7/exe", target)
			}()
			view, err := replica.Find(t.Context(), target, replica.Options{Proc: tr.root})
			if err != nil || len(view.Processes) != want {
				t.Errorf("with no executable for %v: %+v, %v", pause, view, err)
			}
			if took := time.Since(began); took > 500*time.Millisecond { // on the clock of the test
				t.Errorf("with no executable for %v it took %v", pause, took)
			}
			<-linked
		})
	}
}
