package term

import (
	"fmt"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/tbctl/tbctl/internal/sizes"
)

// Progress shows how far a long step is. On a terminal it is a bar that goes
// away when the step ends; elsewhere a line every few seconds; with quiet, nothing.
// It is safe for use from several goroutines, and the nil Progress shows nothing.
type Progress struct {
	stream *Stream
	mode   progressMode

	mu    sync.Mutex
	bar   *progressbar.ProgressBar
	name  string
	total int64
	last  time.Time
}

type progressMode int

const (
	progressNone progressMode = iota
	progressLines
	progressBar
)

// progressInterval is the time between two lines where there is no terminal.
const progressInterval = 5 * time.Second

// NewProgress shows progress on stream, unless quiet.
func NewProgress(stream *Stream, quiet bool) *Progress {
	p := &Progress{stream: stream}
	switch {
	case quiet:
	case stream.Terminal():
		p.mode = progressBar
	default:
		p.mode = progressLines
	}
	return p
}

// Start begins a step. total is in bytes, or -1 if it is not known.
func (p *Progress) Start(name string, total int64) {
	if p == nil || p.mode == progressNone {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.finish()
	p.name, p.total, p.last = name, total, time.Now()
	if p.mode == progressBar {
		p.bar = progressbar.NewOptions64(total,
			progressbar.OptionSetWriter(p.stream),
			progressbar.OptionSetVisibility(true),
			progressbar.OptionSetDescription(Printable(name)),
			progressbar.OptionShowBytes(true),
			progressbar.OptionSetWidth(min(30, max(5, p.stream.Width()-60))),
			progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionClearOnFinish(),
			progressbar.OptionSetPredictTime(total > 0),
			progressbar.OptionSpinnerType(14),
		)
	}
}

// Update says how many bytes of the step are done, and its total if that is
// known by now (-1 if not).
func (p *Progress) Update(done, total int64) {
	if p == nil || p.mode == progressNone {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.name == "":
	case p.bar != nil:
		if total > 0 && total != p.total {
			p.bar.ChangeMax64(total)
		}
		p.total = total
		_ = p.bar.Set64(done)
	case time.Since(p.last) >= progressInterval:
		p.last = time.Now()
		p.stream.Printf("tbctl: %s: %s\n", Printable(p.name), amount(done, total))
	}
}

// Done ends the step and takes the bar away.
func (p *Progress) Done() {
	if p == nil || p.mode == progressNone {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.finish()
}

// finish clears the bar's line. It is called with the lock held.
func (p *Progress) finish() {
	if p.bar != nil {
		_ = p.bar.Clear()
		p.bar = nil
	}
	p.name = ""
}

func amount(done, total int64) string {
	if total <= 0 {
		return Bytes(done)
	}
	return fmt.Sprintf("%s of %s (%d %%)", Bytes(done), Bytes(total), done*100/total)
}

// Bytes returns a size for people: exact below 10 KiB, and with one decimal in
// KiB, MiB or GiB above.
func Bytes(size int64) string { return sizes.Text(size) }
