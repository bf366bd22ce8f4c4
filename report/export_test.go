package report

import (
	"context"

	"github.com/tbctl/tbctl/advisory"
	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/host"
)

// See finds the replicas of a query.
func (s *Status) See(ctx context.Context, query host.Query) { s.see(ctx, query, nil, host.LackFile) }

// Advise finds out what is known of what runs.
func (s *Status) Advise(list *advisory.List) { s.advise(list) }

// Leave keeps the first leftovers.
func (s *Status) Leave(all []fsatomic.Leftover) { s.leave(all) }
