module example.com/bugs

go 1.26.0

require github.com/kprim/kprim v0.0.0

replace github.com/kprim/kprim => ../../../..
