#!/bin/sh
echo "kernel Datastructure $TROUBLED_DS is in trouble" >> "${0%/*}/messages"
