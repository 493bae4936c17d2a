#!/bin/sh
mail() { cat >> "${0%/*}/mailbox"; } # nothing is sent
echo kernel datastructure $TROUBLED_DS is in trouble | mail -s Alert root
