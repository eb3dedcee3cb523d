/* Plain files, whole or not at all; see stream.h. */
#include "store/stream.h"

#include "base/alloc.h"
#include "store/claim.h"
#include "store/plain.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { BUFFER = 1 << 20 };

struct trm_stream {
    trm_claim *claim;
    trm_draft draft;
    trm_plain_name name;
    char *buffer;
    int64_t held, written;
    trm_status status;
    trm_error err;
};

static trm_status make(const char *path, trm_stream **stream, trm_error *err)
{
    trm_stream *made = *stream = trm_alloc_zero(1, sizeof *made);
    if (made == NULL)
        return trm_fail_memory(err, "an output", 1, sizeof *made);
    made->draft = (trm_draft)TRM_DRAFT_INIT;
    made->err = (trm_error)TRM_ERROR_INIT;
    made->name = (trm_plain_name){"output", path};
    made->buffer = trm_alloc(BUFFER, 1);
    return made->buffer != NULL ? TRM_OK : trm_fail_memory(err, "an output", BUFFER, 1);
}

trm_status trm_stream_open(const char *path, bool overwrite, int inputs, const char *const *input,
                           trm_stream **stream, trm_error *err)
{
    trm_status status = make(path, stream, err);
    if (status == TRM_OK)
        status =
            trm_claim_take(MPI_COMM_SELF, "output", path, overwrite, inputs, input, &(*stream)->claim, err);
    return status == TRM_OK ? trm_draft_open(MPI_COMM_SELF, (*stream)->claim, &(*stream)->draft, err)
                            : status;
}

trm_status trm_stream_look(const char *path, bool overwrite, int inputs, const char *const *input,
                           trm_stream **stream, trm_error *err)
{
    const trm_status status = make(path, stream, err);
    return status == TRM_OK ? trm_claim_look(MPI_COMM_SELF, "output", path, overwrite, inputs, input,
                                             &(*stream)->claim, err)
                            : status;
}

trm_status trm_stream_check_store(const trm_stream *stream, const trm_store *store, trm_error *err)
{
    return trm_claim_check_store(stream->claim, store, err);
}

static void flush(trm_stream *stream)
{
    if (stream->status == TRM_OK && stream->held > 0)
        stream->status = trm_plain_write(stream->draft.file, stream->name, stream->buffer, stream->held,
                                         stream->written, &stream->err);
    stream->written += stream->held;
    stream->held = 0;
}

void trm_stream_put(trm_stream *stream, const void *data, int64_t bytes)
{
    const char *from = data;
    while (bytes > 0) {
        const int64_t room = BUFFER - stream->held, some = bytes < room ? bytes : room;
        memcpy(stream->buffer + stream->held, from, (size_t)some);
        stream->held += some;
        from += some;
        bytes -= some;
        if (stream->held == BUFFER)
            flush(stream);
    }
}

void trm_stream_print(trm_stream *stream, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    trm_stream_put(stream, text, length < (int)sizeof text ? length : (int)sizeof text - 1);
}

bool trm_stream_failed(const trm_stream *stream)
{
    return stream->status != TRM_OK;
}

int64_t trm_stream_place(const trm_stream *stream)
{
    return stream->written + stream->held;
}

void trm_stream_patch(trm_stream *stream, const void *data, int64_t bytes, int64_t at)
{
    flush(stream);
    if (stream->status == TRM_OK)
        stream->status = trm_plain_write(stream->draft.file, stream->name, data, bytes, at, &stream->err);
}

trm_status trm_stream_finish(trm_stream *stream, trm_error *err)
{
    flush(stream);
    if (stream->status != TRM_OK) {
        *err = stream->err;
        return stream->status;
    }
    return trm_draft_place(&stream->draft, err);
}

void trm_stream_close(trm_stream **stream)
{
    trm_stream *old = *stream;
    if (old == NULL)
        return;
    trm_draft_close(&old->draft);
    trm_claim_release(&old->claim);
    trm_free(old->buffer);
    trm_free(old);
    *stream = NULL;
}
