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

trm_status trm_matrix_look_idx(const trm_matrix_file *in, trm_matrix *matrix, trm_error *err)
{
    const trm_named_file *about = in->about;
    const int type = type_of(in);
    bool fits = true;
    int64_t needed = 0;
    strcpy(matrix->name, "idx");
    trm_matrix_set_type(matrix, types[type].class, types[type].size, true);
    matrix->dimensions = in->head[3];
    matrix->width = 1;
    matrix->offset = START + (int64_t)matrix->dimensions * SIZE;
    if (in->have < matrix->offset)
        return trm_fail(err, TRM_ERR_DATA, "%s '%s': truncated IDX file: it ends within its header",
                        about->kind, about->path);
    for (int d = 0; d < matrix->dimensions && fits; d++) {
        const unsigned char *at = in->head + START + d * SIZE;
        const int64_t size = (int64_t)at[0] << 24 | at[1] << 16 | at[2] << 8 | at[3];
        matrix->rows = d == 0 ? size : matrix->rows;
        fits = d == 0 || !__builtin_mul_overflow(matrix->width, size, &matrix->width);
    }
    fits = fits && !__builtin_mul_overflow(matrix->width, (int64_t)types[type].size, &matrix->stride) &&
           !__builtin_mul_overflow(matrix->rows, matrix->stride, &needed);
    if (!fits || needed != in->bytes - matrix->offset)
        return trm_fail(err, TRM_ERR_DATA,
                        "%s '%s': %" PRId64 " rows of an IDX file of %d dimensions do not take %" PRId64
                        " bytes: truncated, or another format",
                        about->kind, about->path, matrix->rows, matrix->dimensions, in->bytes);
    return TRM_OK;
}
