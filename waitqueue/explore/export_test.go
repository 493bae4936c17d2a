package explore

import "time"

// SetPatience sets how long a goroutine may take to come to its next point.
func SetPatience(d time.Duration) { patience = d }
