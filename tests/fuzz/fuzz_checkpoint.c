/* Headers of checkpoints: any bytes, and any JSON behind a first line that fits it. */
#include "base/hash_sum.h"
#include "store/checkpoint_file.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { MOST = 4096, LINE = 65 };
    char text[MOST + LINE + 1], hash[33];
    const int64_t bytes = trm_checkpoint_file_header_bytes((const char *)data, size);
    json_t *header = trm_checkpoint_file_header((const char *)data, size);
    if (header != NULL && bytes < 0)
        abort();
    json_decref(header);
    if (size > MOST)
        return 0;
    trm_hash_sum sum = TRM_HASH_SUM_INIT;
    trm_hash_sum_add(&sum, data, size);
    trm_hash_sum_text(&sum, hash);
    snprintf(text, LINE + 1, "trimine-checkpoint 1 %010zu %s\n", size + LINE, hash);
    memcpy(text + LINE, data, size);
    if (trm_checkpoint_file_header_bytes(text, size + LINE) != (int64_t)(size + LINE))
        abort();
    json_decref(trm_checkpoint_file_header(text, size + LINE));
    return 0;
}
