#!/bin/sh
# It could call somebody, or restart the program. Its output goes to the log.
echo "helper: $TASK waits for $WCHAN"
grep -q "prev_comm=$TASK .*prev_state=D" "$TRACE" && echo "helper: the trace shows since when"
