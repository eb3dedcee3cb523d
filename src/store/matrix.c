/* The table of formats; see matrix.h. */
#include "store/matrix.h"

#include "base/alloc.h"
#include "store/first_bytes.h"
#include "store/gzip.h"
#include "store/plain.h"
#include "store/store_inner.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct format {
    bool (*is)(const trm_matrix_file *in);
    trm_status (*look)(const trm_matrix_file *in, trm_matrix *matrix, trm_error *err);
} format;

/* In this order: what has a name for itself comes before a mark of a few bytes, which numbers may have by chance. */
static const format formats[] = {
    {trm_matrix_is_npy, trm_matrix_look_npy},
    {trm_matrix_is_vectors, trm_matrix_look_vectors},
    {trm_matrix_is_idx, trm_matrix_look_idx},
};
enum { FORMATS = sizeof formats / sizeof *formats };

void trm_matrix_set_type(trm_matrix *matrix, trm_element_class class, int size, bool big_endian)
{
    trm_element *element = &matrix->element;
    element->class = class;
    element->size = element->stored = size;
    element->swapped = size > 1 && big_endian != (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__);
    snprintf(matrix->type, sizeof matrix->type, "%s%d%s",
             class == TRM_ELEMENT_FLOAT    ? "float"
             : class == TRM_ELEMENT_BFLOAT ? "bfloat"
             : class == TRM_ELEMENT_SIGNED ? "int"
                                           : "uint",
             8 * size, size > 1 && big_endian ? "-be" : "");
}

/* What is in gzip may be IDX; that it is something else is told later. But damage may hide that it is IDX: so the begin of what is
 * not is unpacked, too, to its end and checksum where that is near. */
static trm_status look_packed(trm_matrix_file *in, trm_matrix *matrix, trm_error *err)
{
    const int64_t begin = INT64_C(1) << 28;
    trm_gzip *gzip = NULL;
    trm_status status = trm_gzip_begin(in->about, &gzip, err);
    if (status == TRM_OK)
        status = trm_gzip_read(in->about, gzip, in->file, in->head, TRM_MATRIX_HEAD, 0, &in->have, err);
    matrix->packed = status == TRM_OK && trm_matrix_is_idx(in);
    if (status == TRM_OK)
        status = trm_gzip_size(in->about, gzip, in->file,
                               matrix->packed ? trm_matrix_idx_bytes(in) + 1 : begin, &in->bytes, err);
    trm_gzip_end(&gzip);
    return status == TRM_OK && matrix->packed ? trm_matrix_look_idx(in, matrix, err) : status;
}

static trm_status look(trm_matrix_file *in, trm_matrix *matrix, trm_error *err)
{
    if (trm_superblock_look(in->file, in->bytes).found)
        return TRM_OK;
    for (int f = 0; f < FORMATS; f++)
        if (formats[f].is(in))
            return formats[f].look(in, matrix, err);
    return trm_gzip_recognize(in->head, in->have) ? look_packed(in, matrix, err) : TRM_OK;
}

trm_status trm_matrix_look(const trm_named_file *about, trm_matrix *matrix, trm_error *err)
{
    unsigned char head[TRM_MATRIX_HEAD] = {0};
    trm_matrix_file in = {.about = about, .file = -1, .head = head};
    trm_error unheard = TRM_ERROR_INIT;
    memset(matrix, 0, sizeof *matrix);
    if (trm_inspect_regular(about, &in.file, &in.bytes, &unheard) != TRM_OK)
        return TRM_OK; /* who opens it says why */
    in.have = in.bytes < TRM_MATRIX_HEAD ? in.bytes : TRM_MATRIX_HEAD;
    trm_status status =
        trm_plain_read(in.file, (trm_plain_name){about->kind, about->path}, head, in.have, 0, err);
    if (status == TRM_OK && in.bytes > 0)
        status = look(&in, matrix, err);
    close(in.file);
    return status;
}

/* ---- reading ---- */

int64_t trm_matrix_room(const trm_matrix *matrix, int64_t rows)
{
    return rows * matrix->stride;
}

/* Rows with their numbers of values become rows without. */
static trm_status take_counts(const trm_named_file *about, const trm_matrix *matrix, int64_t row,
                              int64_t count, char *data, trm_error *err)
{
    const int64_t bytes = matrix->width * matrix->element.size, before = matrix->stride - bytes;
    for (int64_t i = 0; i < count; i++) {
        const unsigned char *at = (const unsigned char *)data + i * matrix->stride;
        const uint32_t width =
            (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
        if (width != (uint64_t)matrix->width)
            return trm_fail(err, TRM_ERR_DATA,
                            "%s '%s': row %" PRId64 " says that it has %" PRIu32 " values, row 0 has %" PRId64
                            ": not a matrix, or damaged",
                            about->kind, about->path, row + i, width, matrix->width);
        memmove(data + i * bytes, at + before, (size_t)bytes);
    }
    return TRM_OK;
}

static trm_status read_packed(const trm_named_file *about, const trm_matrix *matrix, int file,
                              trm_gzip **unpacked, int64_t row, int64_t count, void *data, trm_error *err)
{
    int64_t got = 0;
    const int64_t bytes = count * matrix->stride;
    trm_status status = *unpacked == NULL ? trm_gzip_begin(about, unpacked, err) : TRM_OK;
    if (status == TRM_OK)
        status = trm_gzip_read(about, *unpacked, file, data, bytes, matrix->offset + row * matrix->stride,
                               &got, err);
    if (status == TRM_OK && got < bytes)
        status = trm_fail(err, TRM_ERR_DATA, "%s '%s': the file was changed while it was read", about->kind,
                          about->path);
    return status;
}

trm_status trm_matrix_read(const trm_named_file *about, const trm_matrix *matrix, int file,
                           trm_gzip **unpacked, int64_t row, int64_t count, void *data, trm_error *err)
{
    const int64_t before = matrix->counted ? matrix->stride - matrix->width * matrix->element.size : 0;
    if (matrix->packed)
        return read_packed(about, matrix, file, unpacked, row, count, data, err);
    const trm_status status =
        trm_plain_read(file, (trm_plain_name){about->kind, about->path}, data, count * matrix->stride,
                       matrix->offset - before + row * matrix->stride, err);
    return status == TRM_OK && matrix->counted ? take_counts(about, matrix, row, count, data, err) : status;
}
