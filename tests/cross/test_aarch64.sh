#!/usr/bin/env bash
# The fp32 kernel on 64-bit ARM: compiled for it, its inner loop made of fused multiply-adds on whole vectors with no
# accumulator in memory, and run under qemu-user. Skipped where these are not installed (Debian: gcc-aarch64-linux-gnu,
# libc6-dev-arm64-cross, qemu-user).
#
#   test_aarch64.sh SOURCE_DIR BUILD_INCLUDE_DIR
set -euo pipefail
source_dir=$1 build_include=$2 cc=aarch64-linux-gnu-gcc
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

for tool in $cc aarch64-linux-gnu-objdump qemu-aarch64; do
    command -v $tool >/dev/null || {
        echo "$tool is not installed: skipped"
        exit 77
    }
done
echo '#include <stdio.h>
int main(void) { return puts("") < 0; }' >"$dir/any.c"
$cc -static "$dir/any.c" -o "$dir/any" 2>/dev/null || {
    echo "no C library for aarch64 is installed: skipped"
    exit 77
}

cd "$source_dir"
flags=(-D_GNU_SOURCE -std=c17 -O3 -Wall -Wextra -Werror -ffp-contract=fast -Isrc -Iinclude -I"$build_include")
$cc "${flags[@]}" -c src/kernel/fp32.c -o "$dir/fp32.o"
$cc "${flags[@]}" -static tests/cross/test_fp32.c "$dir/fp32.o" src/kernel/scan.c src/metric/isa.c -lm -o "$dir/test"
qemu-aarch64 "$dir/test"

# Between the first and the last fused multiply-add is the loop: 24 of them, and nothing goes to memory.
aarch64-linux-gnu-objdump -d --no-show-raw-insn "$dir/fp32.o" | awk '
    /\tfmla\t/ { fused++; stored += since; since = 0; next }
    fused && /\tst[rpu]/ { since++ }
    END { print fused + 0, "fused,", stored + 0, "stored between them"; exit fused != 24 || stored != 0 }'
