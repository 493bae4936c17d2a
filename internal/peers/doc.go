// Package peers measures kprim beside the tools that Go programs use today: sync.Cond,
// channels, contextcond, x/sync, tomb, client-go's workqueue, os/exec, expvar and flag. It is a
// module of its own, because only its tests need them.
//
//	cd internal/peers && go test . -run Paired -paired -v
//
// prints the ratios. Without -paired, the tests check that all ways do the same job.
package peers
