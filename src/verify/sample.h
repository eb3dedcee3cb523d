/* Drawing rows to look at. */
#ifndef TRM_VERIFY_SAMPLE_H
#define TRM_VERIFY_SAMPLE_H

#include <stdint.h>

/* As many of all as are asked for, each as likely, ascending: new memory (trm_free), or NULL. The same on all ranks; not collective. */
int64_t *trm_sample_rows(int64_t all, int64_t most, uint64_t seed, uint64_t stream, int64_t *count);

#endif
