#!/bin/sh
dir=${0%/*}
alert="kernel datastructure $TROUBLED_DS is in trouble"
echo "$alert" >> "$dir/mailbox" || exit # a copy, whatever becomes of the mail

# PATH is what finds the program. If that fails, so does the alert.
if [ ! -e "$dir/no-mail" ] && command -v mail > /dev/null; then
	echo "$alert" | mail -s Alert root
fi
