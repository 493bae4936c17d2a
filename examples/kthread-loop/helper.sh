#!/bin/sh
dir=${0%/*}
alert="kernel datastructure $TROUBLED_DS is in trouble"

# PATH is what finds the program. An alert that it fails to send has failed.
if [ ! -e "$dir/no-mail" ] && command -v mail > /dev/null; then
	echo "$alert" | mail -s Alert root || exit
fi
echo "$alert" >> "$dir/mailbox" # a copy, or all there is
