#!/bin/bash
# As `addon`: ends whatever the code under test left running and empties what it could write to.
kill -KILL -1 2>/dev/null
find /tmp /var/tmp /dev/shm -mindepth 1 -user addon -delete 2>/dev/null
exit 0
