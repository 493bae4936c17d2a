#!/bin/sh
# Article 1 writes to /var/log/messages; this helper writes beside itself.
echo "kernel Datastructure $TROUBLED_DS is in trouble" >> "${0%/*}/messages"
