#!/bin/sh
# The helper of article 1 writes to /var/log/messages. This one writes to its own directory.
echo "kernel Datastructure $TROUBLED_DS is in trouble" >> "${0%/*}/messages"
