package report

import (
	"context"

	"github.com/tbctl/tbctl/host"
)

// See finds the replicas of a query.
func (s *Status) See(ctx context.Context, query host.Query) { s.see(ctx, query, nil, host.LackFile) }
