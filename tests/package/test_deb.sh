#!/usr/bin/env bash
# The Debian packages of a build: every installed file is in one of them, in the right one, and they say what they need.
#
#   test_deb.sh BUILD CMAKE CPACK
set -euo pipefail

build=$1 cmake=$2 cpack=$3
work=$(mktemp -d "$build/deb-test-XXXXXX")
trap 'rm -rf "$work"' EXIT

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

files() { # DEB: what is in it, without folders, by names as if nothing were compressed
    dpkg-deb --fsys-tarfile "$1" | tar -t | grep -v '/$' | sed 's/^\.//; s/\.gz$//' | sort
}

has() { # DEB PATTERN...: a file for each pattern
    local deb=$1 pattern
    shift
    for pattern in "$@"; do
        files "$deb" | grep -qE "$pattern\$" || fail "$deb has no $pattern"
    done
}

has_not() { # DEB PATTERN
    ! files "$1" | grep -E "$2" || fail "$1 has the above, which match $2"
}

depends() { # DEB TEXT
    dpkg-deb -f "$1" Depends | grep -qF "$2" || fail "$1 depends on $(dpkg-deb -f "$1" Depends), not on $2"
}

"$cpack" --config "$build/CPackConfig.cmake" -B "$work" >"$work/log" 2>&1 || { cat "$work/log" && fail "cpack"; }
cd "$work"
version=$("$build/trimine" --version | grep -o '[0-9][0-9.]*[0-9]' | head -n 1)
abi=${version%.*}
architecture=$(dpkg --print-architecture)
program=trimine_$version-1_$architecture.deb
library=libtrimine${abi}_$version-1_$architecture.deb
dev=libtrimine-dev_$version-1_$architecture.deb
[ "$(echo *.deb)" = "$(echo "$dev" "$library" "$program" | tr ' ' '\n' | sort | xargs)" ] || fail "made $(echo *.deb)"

has "$program" /usr/bin/trimine /man/man1/trimine.1 /man/man1/trimine-mine.1 /bash-completion/completions/trimine \
    /site-functions/_trimine /share/trimine/python/trimine/report.py /doc/trimine/docs/TROUBLESHOOTING.md /doc/trimine/examples/slurm/array.sbatch
has_not "$program" '\.so|\.a$|\.h$|\.cmake$|\.pc$'
has "$library" "/libtrimine\\.so\\.$abi" "/libtrimine\\.so\\.$version"
has_not "$library" '/bin/|/share/(man|trimine|bash|zsh)|/libtrimine\.so$|\.a$|\.h$'
has "$dev" '/libtrimine\.so' '/libtrimine\.a' /include/trimine/job.h /trimine-config.cmake /trimine-static-targets.cmake \
    /pkgconfig/trimine.pc /pkgconfig/trimine-static.pc
has_not "$dev" '/bin/|/share/(man|trimine|bash|zsh)|\.so\.'

# Each installed file once, and nothing else but what Debian wants of every package.
DESTDIR=$work/installed "$cmake" --install "$build" --prefix /usr >"$work/log"
(cd installed && find . ! -type d | sed 's/^\.//' | sort) >expected
for deb in *.deb; do
    name=${deb%%_*}
    has "$deb" "/doc/$name/copyright" "/doc/$name/changelog" "/doc/$name/changelog\\.Debian"
    files "$deb" | grep -vE "/doc/$name/(copyright|changelog|changelog\.Debian)\$"
done | sort >packed
diff expected packed || fail "installed (<) and packed (>) files differ"

# The links that programs and the linker go by.
dpkg-deb -x "$library" root
dpkg-deb -x "$dev" root
link=$(find root -name libtrimine.so)
[ "$(readlink "$link")" = "libtrimine.so.$abi" ] || fail "libtrimine.so leads to $(readlink "$link")"
[ "$(readlink "$link.$abi")" = "libtrimine.so.$version" ] || fail "libtrimine.so.$abi leads to $(readlink "$link.$abi")"
readelf -d "$link" | grep -qF "soname: [libtrimine.so.$abi]" || fail "another SONAME"

depends "$dev" "libtrimine$abi (= $version-1)"
for library_inside in libhdf5 libjansson4 libxxhash0 libgomp1; do
    depends "$library" "$library_inside"
    depends "$program" "$library_inside"
done
for header_of in libhdf5 libjansson-dev libxxhash-dev; do
    depends "$dev" "$header_of"
done
dpkg-deb -f "$program" Depends | grep -qE '(^|, )(openmpi-bin|mpich)' || fail "the program comes without mpirun"
dpkg-deb -f "$dev" Depends | grep -qE 'lib(openmpi|mpich)-dev' || fail "$dev comes without MPI"
[ "$(dpkg-deb -I "$library" shlibs)" = "libtrimine $abi libtrimine$abi (>= $version-1)" ] || fail "shlibs: $(dpkg-deb -I "$library" shlibs)"
[ "$(dpkg-deb -I "$library" triggers)" = "activate-noawait ldconfig" ] || fail "no call of ldconfig"
dpkg-deb --fsys-tarfile "$program" | tar -xO ./usr/share/doc/trimine/copyright | grep -qx 'License: Expat' || fail "no licence"
