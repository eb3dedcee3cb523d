/* Files known by their first bytes, above all IDX, as they are and in gzip: any bytes may be gzip, and any IDX is the same
 * when it is packed. */
#include "fuzz/rows.h"

#include <zlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The bytes that come out; those that zlib adds are far below the room. */
static size_t pack(const uint8_t *data, size_t size, uint8_t *packed, size_t room)
{
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)data, .avail_in = (uInt)size};
    if (deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        abort();
    stream.next_out = packed;
    stream.avail_out = (uInt)room;
    if (deflate(&stream, Z_FINISH) != Z_STREAM_END)
        abort();
    deflateEnd(&stream);
    return room - stream.avail_out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { MOST = 4096 };
    uint8_t packed[2 * MOST];
    trm_matrix plain, unpacked;
    if (size > MOST)
        return 0;
    const bool is = fuzz_matrix(fuzz_put("x", data, size), &plain);
    if (!is || plain.packed || strcmp(plain.name, "idx") != 0)
        return 0;
    const bool same =
        fuzz_matrix(fuzz_put("x.gz", packed, pack(data, size, packed, sizeof packed)), &unpacked);
    if (!same || !unpacked.packed || unpacked.rows != plain.rows || unpacked.width != plain.width)
        abort();
    return 0;
}
