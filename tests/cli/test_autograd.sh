#!/usr/bin/env bash
# Values and gradients beside PyTorch's autograd, where PyTorch is installed. scripts/check_autograd tries more.
source "$(dirname "$0")/lib.sh"
"$source_dir/scripts/check_autograd" --quick --program "$program" ${batch:+--batch "$batch"} >"$dir/table" 2>&1
code=$?
cat "$dir/table"
if grep -q '^skipped' "$dir/table"; then
    echo "0 passed, 0 failed, 1 skipped"
    exit 77 # ctest's word for it (SKIP_RETURN_CODE)
fi
expect "values and gradients are autograd's" test "$code" = 0
finish
