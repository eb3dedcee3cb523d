/* IDX, as MNIST and its kin come: two zero bytes, a type, the number of dimensions, their sizes as big-endian int32,
 * then the values, big-endian as well. The first dimension counts rows: 28 x 28 pixels are a row of 784 values. */
#include "store/matrix.h"

#include <inttypes.h>
#include <string.h>

enum { START = 4, SIZE = 4, MOST_DIMENSIONS = 8 };

static const struct {
    unsigned char code;
    trm_element_class class;
    int size;
} types[] = {
    {0x08, TRM_ELEMENT_UNSIGNED, 1}, {0x09, TRM_ELEMENT_SIGNED, 1}, {0x0B, TRM_ELEMENT_SIGNED, 2},
    {0x0C, TRM_ELEMENT_SIGNED, 4},   {0x0D, TRM_ELEMENT_FLOAT, 4},  {0x0E, TRM_ELEMENT_FLOAT, 8},
};

static int type_of(const trm_matrix_file *in)
{
    for (int i = 0; i < (int)(sizeof types / sizeof *types); i++)
        if (in->head[2] == types[i].code)
            return i;
    return -1;
}

bool trm_matrix_is_idx(const trm_matrix_file *in)
{
    return in->have >= START && in->head[0] == 0 && in->head[1] == 0 && type_of(in) >= 0 &&
           in->head[3] >= 1 && in->head[3] <= MOST_DIMENSIONS;
}

/* What the header says of rows and where they are; false where that is more than any file. */
static bool read_header(const trm_matrix_file *in, trm_matrix *matrix, int64_t *bytes)
{
    const int type = type_of(in);
    bool fits = true;
    trm_matrix_set_type(matrix, types[type].class, types[type].size, true);
    matrix->dimensions = in->head[3];
    matrix->width = 1;
    matrix->offset = START + (int64_t)matrix->dimensions * SIZE;
    for (int d = 0; d < matrix->dimensions && fits; d++) {
        const unsigned char *at = in->head + START + d * SIZE; /* zeros behind the end of the file */
        const int64_t size = (int64_t)at[0] << 24 | at[1] << 16 | at[2] << 8 | at[3];
        matrix->rows = d == 0 ? size : matrix->rows;
        fits = d == 0 || !__builtin_mul_overflow(matrix->width, size, &matrix->width);
    }
    return fits && !__builtin_mul_overflow(matrix->width, (int64_t)types[type].size, &matrix->stride) &&
           !__builtin_mul_overflow(matrix->rows, matrix->stride, bytes) &&
           !__builtin_add_overflow(*bytes, matrix->offset, bytes);
}

int64_t trm_matrix_idx_bytes(const trm_matrix_file *in)
{
    trm_matrix matrix;
    int64_t bytes = 0;
    return read_header(in, &matrix, &bytes) && bytes < INT64_MAX ? bytes : 0;
}

trm_status trm_matrix_look_idx(const trm_matrix_file *in, trm_matrix *matrix, trm_error *err)
{
    const trm_named_file *about = in->about;
    int64_t needed = 0;
    strcpy(matrix->name, "idx");
    const bool fits = read_header(in, matrix, &needed);
    if (in->have < matrix->offset)
        return trm_fail(err, TRM_ERR_DATA, "%s '%s': truncated IDX file: it ends within its header",
                        about->kind, about->path);
    if (!fits || needed != in->bytes)
        return trm_fail(err, TRM_ERR_DATA,
                        "%s '%s': %" PRId64 " rows of an IDX file of %d dimensions do not take %" PRId64
                        " bytes%s: truncated, or another format",
                        about->kind, about->path, matrix->rows, matrix->dimensions, in->bytes,
                        matrix->packed && in->bytes > needed ? " or more" : "");
    return TRM_OK;
}
