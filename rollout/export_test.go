package rollout

import "context"

// Note appends an entry, as a run does.
func (j *Journal) Note(ctx context.Context, entry Entry) { j.record(ctx, entry) }
