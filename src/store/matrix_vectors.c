/* Vectors as benchmarks of nearest neighbours keep them. They have no mark: what they are is the end of their name.
 *
 * TEXMEX (.fvecs, .bvecs, .ivecs): before each row the number of its values, an int32. BIGANN (.fbin, .u8bin, .i8bin,
 * .ibin): the numbers of rows and of columns, an int32 each, then all values. All little-endian. */
#include "store/matrix.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

enum { COUNT = 4, SHAPE = 8 };

typedef struct layout {
    const char *suffix;
    trm_element_class class;
    int size;
    bool counted;
} layout;

static const layout layouts[] = {
    {".fvecs", TRM_ELEMENT_FLOAT, 4, true},    {".bvecs", TRM_ELEMENT_UNSIGNED, 1, true},
    {".ivecs", TRM_ELEMENT_SIGNED, 4, true},   {".fbin", TRM_ELEMENT_FLOAT, 4, false},
    {".fp16bin", TRM_ELEMENT_FLOAT, 2, false}, {".u8bin", TRM_ELEMENT_UNSIGNED, 1, false},
    {".i8bin", TRM_ELEMENT_SIGNED, 1, false},  {".ibin", TRM_ELEMENT_SIGNED, 4, false},
};

static const layout *layout_of(const char *path)
{
    const char *suffix = strrchr(path, '.');
    for (size_t i = 0; suffix != NULL && i < sizeof layouts / sizeof *layouts; i++)
        if (strcasecmp(suffix, layouts[i].suffix) == 0)
            return &layouts[i];
    return NULL;
}

bool trm_matrix_is_vectors(const trm_matrix_file *in)
{
    return layout_of(in->about->path) != NULL;
}

static uint32_t number(const unsigned char *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static trm_status refuse_short(const trm_matrix_file *in, const layout *of, trm_error *err)
{
    return trm_fail(err, TRM_ERR_DATA, "%s '%s': truncated %s file: it ends within its first %d bytes",
                    in->about->kind, in->about->path, of->suffix, of->counted ? COUNT : SHAPE);
}

static trm_status look_counted(const trm_matrix_file *in, const layout *of, trm_matrix *matrix,
                               trm_error *err)
{
    const trm_named_file *about = in->about;
    if (in->have < COUNT)
        return refuse_short(in, of, err);
    matrix->width = number(in->head);
    matrix->stride = COUNT + matrix->width * of->size;
    matrix->offset = COUNT;
    matrix->counted = true;
    matrix->rows = in->bytes / matrix->stride;
    if (matrix->width > INT32_MAX || in->bytes % matrix->stride != 0)
        return trm_fail(err, TRM_ERR_DATA,
                        "%s '%s': its first row has %" PRId64 " values, so %" PRId64
                        " bytes a row, of which %" PRId64
                        " bytes are no whole number: truncated, or no %s file",
                        about->kind, about->path, matrix->width, matrix->stride, in->bytes, of->suffix);
    return TRM_OK;
}

static trm_status look_shaped(const trm_matrix_file *in, const layout *of, trm_matrix *matrix, trm_error *err)
{
    const trm_named_file *about = in->about;
    if (in->have < SHAPE)
        return refuse_short(in, of, err);
    matrix->rows = number(in->head);
    matrix->width = number(in->head + COUNT);
    matrix->stride = matrix->width * of->size;
    matrix->offset = SHAPE;
    int64_t needed = 0;
    if (__builtin_mul_overflow(matrix->rows, matrix->stride, &needed) || needed != in->bytes - SHAPE)
        return trm_fail(err, TRM_ERR_DATA,
                        "%s '%s': %" PRId64 " rows x %" PRId64 " of a %s file do not take %" PRId64
                        " bytes: truncated, or another format",
                        about->kind, about->path, matrix->rows, matrix->width, of->suffix, in->bytes);
    return TRM_OK;
}

trm_status trm_matrix_look_vectors(const trm_matrix_file *in, trm_matrix *matrix, trm_error *err)
{
    const layout *of = layout_of(in->about->path);
    strcpy(matrix->name, of->suffix + 1);
    trm_matrix_set_type(matrix, of->class, of->size, false);
    matrix->dimensions = 2;
    return of->counted ? look_counted(in, of, matrix, err) : look_shaped(in, of, matrix, err);
}
