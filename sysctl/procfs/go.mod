module github.com/kprim/kprim/sysctl/procfs

go 1.26.0

require (
	github.com/hanwen/go-fuse/v2 v2.12.1
	github.com/kprim/kprim v0.0.0
	github.com/moby/sys/mountinfo v0.7.2
	github.com/stretchr/testify v1.12.1
	go.uber.org/goleak v1.3.0
	golang.org/x/sys v0.38.0
)

require (
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/sync v0.24.0 // indirect
)

// Only in the tree: a tag has no replace. See .github/RELEASING.md.
replace github.com/kprim/kprim => ../..
