#!/bin/sh
# A subject with one vice, named by VICE: the reference does the work, this spoils what is seen of it.
[ "$VICE" = exits_at_once ] && exit 0
[ "$VICE" = untraced ] && unset BATCH71_RUN_DIR
told=$BATCH71_LEDGER
export BATCH71_LEDGER="$told.true"
"$REFERENCE" || exit $?
rank_1() { [ "$RANK" = 1 ]; }
case $VICE in
  lies) sed 's/"checksums":\["......../"checksums":["00000000/' "$BATCH71_LEDGER" >"$told" ;;
  drops) sed '5d' "$BATCH71_LEDGER" >"$told" ;;
  duplicates) sed '5p' "$BATCH71_LEDGER" >"$told" ;;
  mixes_epochs) sed 's/"epoch":1/"epoch":0/' "$BATCH71_LEDGER" >"$told" ;;
  *) cp "$BATCH71_LEDGER" "$told" ;;
esac
rank_1 || exit 0
case $VICE in
  leaks_process) setsid sleep 60 >/dev/null 2>&1 & ;;
  leaks_segment) echo x >/dev/shm/forgotten ;;
  leaks_mount) mount -t tmpfs none /mnt ;;
  fails) exit 1 ;;
  dawdles) sleep 17 ;;
  litters) echo x >/var/tmp/forgotten ;;
  tampers) echo >"$(sed -n 's/.*manifest_filepath: //p' "$BATCH71_CONFIG")" || exit 1 ;;
  makes_it_up) echo "[rank 1] verdict: rank 0: it was somebody else" ;;
esac
exit 0
