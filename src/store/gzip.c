/* Unpacking; see gzip.h. zlib checks the sums that gzip has at its end. */
#include "store/gzip.h"

#include "base/alloc.h"
#include "store/plain.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { PIECE = 1 << 16, GZIP_ONLY = 15 + 16 };

struct trm_gzip {
    z_stream stream;
    bool open, ended; /* inflateInit2 was called; all members have ended */
    dev_t device;     /* which file it is */
    ino_t inode;
    int64_t read, out; /* bytes taken from the file, and given */
    unsigned char piece[PIECE], ignored[PIECE];
};

bool trm_gzip_recognize(const void *head, int64_t bytes)
{
    return bytes >= 3 && memcmp(head, "\x1f\x8b\x08", 3) == 0;
}

/* zlib's own memory is ours, too: one allocator for all. */
static voidpf zlib_alloc(voidpf none, uInt items, uInt size)
{
    (void)none;
    return trm_alloc((int64_t)items, size);
}

static void zlib_free(voidpf none, voidpf memory)
{
    (void)none;
    trm_free(memory);
}

static trm_status start(const trm_named_file *about, trm_gzip *gzip, trm_error *err)
{
    if (gzip->open)
        inflateEnd(&gzip->stream);
    memset(&gzip->stream, 0, sizeof gzip->stream);
    gzip->stream.zalloc = zlib_alloc;
    gzip->stream.zfree = zlib_free;
    gzip->ended = false;
    gzip->read = gzip->out = 0;
    gzip->open = inflateInit2(&gzip->stream, GZIP_ONLY) == Z_OK;
    return gzip->open
               ? TRM_OK
               : trm_fail(err, TRM_ERR_MEMORY, "%s '%s': no memory to unpack gzip", about->kind, about->path);
}

trm_status trm_gzip_begin(const trm_named_file *about, trm_gzip **gzip, trm_error *err)
{
    *gzip = trm_alloc_zero(1, sizeof **gzip);
    if (*gzip == NULL)
        return trm_fail_memory(err, "what unpacks gzip", 1, sizeof **gzip);
    const trm_status status = start(about, *gzip, err);
    if (status != TRM_OK)
        trm_gzip_end(gzip);
    return status;
}

void trm_gzip_end(trm_gzip **gzip)
{
    if (*gzip != NULL && (*gzip)->open)
        inflateEnd(&(*gzip)->stream);
    trm_free(*gzip);
    *gzip = NULL;
}

/* Has zlib some input, unless the file has ended. */
static trm_status feed(const trm_named_file *about, trm_gzip *gzip, int file, trm_error *err)
{
    if (gzip->stream.avail_in > 0)
        return TRM_OK;
    ssize_t got;
    do
        got = pread(file, gzip->piece, PIECE, gzip->read);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return trm_fail(err, TRM_ERR_IO, "%s '%s': reading failed: %s", about->kind, about->path,
                        strerror(errno));
    gzip->stream.next_in = gzip->piece;
    gzip->stream.avail_in = (uInt)got;
    gzip->read += got;
    return TRM_OK;
}

/* At the end of a member: another may follow, of which all together are one file. */
static trm_status end_member(const trm_named_file *about, trm_gzip *gzip, int file, trm_error *err)
{
    const trm_status status = feed(about, gzip, file, err);
    gzip->ended = status == TRM_OK && gzip->stream.avail_in == 0;
    if (status != TRM_OK || gzip->ended)
        return status;
    return inflateReset(&gzip->stream) == Z_OK
               ? TRM_OK
               : trm_fail(err, TRM_ERR_DATA, "%s '%s': damaged gzip file", about->kind, about->path);
}

/* Unpacks what comes next, up to so many bytes. */
static trm_status unpack(const trm_named_file *about, trm_gzip *gzip, int file, unsigned char *data,
                         int64_t bytes, int64_t *got, trm_error *err)
{
    trm_status status = TRM_OK;
    for (*got = 0; *got < bytes && !gzip->ended && status == TRM_OK;) {
        status = feed(about, gzip, file, err);
        if (status != TRM_OK)
            break;
        const int64_t step = bytes - *got < PIECE ? bytes - *got : PIECE;
        const bool fed = gzip->stream.avail_in > 0;
        gzip->stream.next_out = data + *got;
        gzip->stream.avail_out = (uInt)step;
        const int code = inflate(&gzip->stream, Z_NO_FLUSH);
        const int64_t made = step - (int64_t)gzip->stream.avail_out;
        *got += made;
        gzip->out += made;
        if (code == Z_STREAM_END)
            status = end_member(about, gzip, file, err);
        else if (!fed && made == 0)
            status = trm_fail(err, TRM_ERR_DATA,
                              "%s '%s': truncated gzip file: copy it again, or its writer has not finished",
                              about->kind, about->path);
        else if (code != Z_OK && code != Z_BUF_ERROR)
            status = trm_fail(err, code == Z_MEM_ERROR ? TRM_ERR_MEMORY : TRM_ERR_DATA,
                              "%s '%s': damaged gzip file (%s)", about->kind, about->path,
                              gzip->stream.msg != NULL ? gzip->stream.msg : "zlib gives no reason");
    }
    return status;
}

/* Does it unpack this file? From now on it does. */
static bool is_same(trm_gzip *gzip, int file)
{
    struct stat now;
    if (fstat(file, &now) != 0)
        return false;
    const bool same = gzip->device == now.st_dev && gzip->inode == now.st_ino;
    gzip->device = now.st_dev;
    gzip->inode = now.st_ino;
    return same;
}

trm_status trm_gzip_read(const trm_named_file *about, trm_gzip *gzip, int file, void *data, int64_t bytes,
                         int64_t at, int64_t *got, trm_error *err)
{
    trm_status status = at < gzip->out || !is_same(gzip, file) ? start(about, gzip, err) : TRM_OK;
    *got = 0;
    while (status == TRM_OK && gzip->out < at && !gzip->ended) {
        int64_t passed;
        const int64_t left = at - gzip->out;
        status = unpack(about, gzip, file, gzip->ignored, left < PIECE ? left : PIECE, &passed, err);
    }
    return status == TRM_OK ? unpack(about, gzip, file, data, bytes, got, err) : status;
}

trm_status trm_gzip_size(const trm_named_file *about, trm_gzip *gzip, int file, int64_t most, int64_t *bytes,
                         trm_error *err)
{
    trm_status status = TRM_OK;
    while (status == TRM_OK && !gzip->ended && gzip->out < most) {
        int64_t passed;
        const int64_t left = most - gzip->out;
        status = unpack(about, gzip, file, gzip->ignored, left < PIECE ? left : PIECE, &passed, err);
    }
    *bytes = gzip->out;
    return status;
}
