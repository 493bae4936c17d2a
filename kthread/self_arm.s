//go:build gc && !purego

#include "textflag.h"

// func self() uintptr
TEXT ·self(SB), NOSPLIT, $0-4
	MOVW g, ret+0(FP)
	RET
