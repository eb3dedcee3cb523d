/* A plain file of this process, written from the beginning to the end, and whole or not at all: as claim.h has it. */
#ifndef TRM_STORE_STREAM_H
#define TRM_STORE_STREAM_H

#include "base/error.h"
#include "trimine/store.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct trm_stream trm_stream;

/* Claims path and begins a draft. Not collective: one process alone. The caller closes, also after a failure. Errors: as
 * trm_claim_take, trm_draft_open; MEMORY. */
trm_status trm_stream_open(const char *path, bool overwrite, int inputs, const char *const *input,
                           trm_stream **stream, trm_error *err) TRM_MUST_CHECK;
/* The same refusals, but nothing is begun (trm_claim_look): such a stream takes no data. */
trm_status trm_stream_look(const char *path, bool overwrite, int inputs, const char *const *input,
                           trm_stream **stream, trm_error *err) TRM_MUST_CHECK;
/* Refuses a path that an open store reads, or that it leads to. Errors: USAGE. */
trm_status trm_stream_check_store(const trm_stream *stream, const trm_store *store,
                                  trm_error *err) TRM_MUST_CHECK;
/* Appends. A failure is kept, and told by trm_stream_finish. */
void trm_stream_put(trm_stream *stream, const void *data, int64_t bytes);
void trm_stream_print(trm_stream *stream, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Has writing failed? Then it may end early. */
bool trm_stream_failed(const trm_stream *stream);
/* Bytes so far. */
int64_t trm_stream_place(const trm_stream *stream);
/* Writes over bytes that are there. */
void trm_stream_patch(trm_stream *stream, const void *data, int64_t bytes, int64_t at);
/* Brings it to the disk and gives it its name. Errors: IO, CREATE. */
trm_status trm_stream_finish(trm_stream *stream, trm_error *err) TRM_MUST_CHECK;
/* Removes what was not finished. NULL is fine. */
void trm_stream_close(trm_stream **stream);

#endif
