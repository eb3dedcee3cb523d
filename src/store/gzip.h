/* Unpacking a file of gzip from its beginning on. There is no way to begin in its middle: who wants the last rows unpacks
 * all before them. */
#ifndef TRM_STORE_GZIP_H
#define TRM_STORE_GZIP_H

#include "store/matrix.h"

/* Is it one, by its first bytes? */
bool trm_gzip_recognize(const void *head, int64_t bytes);

/* New memory that unpacks an open file, which stays the caller's; NULL after a failure. Not collective. Errors: MEMORY. */
trm_status trm_gzip_begin(const trm_named_file *about, trm_gzip **gzip, trm_error *err) TRM_MUST_CHECK;
/* Frees and sets *gzip to NULL; NULL is fine. */
void trm_gzip_end(trm_gzip **gzip);

/* Unpacks bytes [at, at + bytes); where that is before what came last, or of another file, from the beginning on. *got may be less than bytes
 * only where all ends there. Errors: IO; DATA: damaged, truncated. */
trm_status trm_gzip_read(const trm_named_file *about, trm_gzip *gzip, int file, void *data, int64_t bytes,
                         int64_t at, int64_t *got, trm_error *err) TRM_MUST_CHECK;
/* How many bytes come out of it, counted up to `most`: a small file may become an endless one. Errors: as above. */
trm_status trm_gzip_size(const trm_named_file *about, trm_gzip *gzip, int file, int64_t most, int64_t *bytes,
                         trm_error *err) TRM_MUST_CHECK;

#endif
