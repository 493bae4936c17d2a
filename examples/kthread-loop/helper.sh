#!/bin/sh
dir=${0%/*}
alert="kernel datastructure $TROUBLED_DS is in trouble"
echo "$alert" >> "$dir/mailbox" || exit

# PATH leads to the program. If the mail fails, the alert fails too.
if [ -e "$dir/mail-too" ] && command -v mail > /dev/null; then
	echo "$alert" | mail -s Alert root
fi
