#!/bin/sh
dir=${0%/*}
echo "kernel Datastructure $TROUBLED_DS is in trouble" >> "$dir/messages"

# The environment, without the variables that the shell itself sets.
exec >> "$dir/environ"
echo "$0" "$@"
env -u PWD -u OLDPWD -u SHLVL -u _
