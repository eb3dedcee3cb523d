/* NumPy's .npy: an array of any number of dimensions, of which the first counts rows. */
#include "store/matrix.h"
#include "store/npy.h"

#include <inttypes.h>
#include <string.h>

bool trm_matrix_is_npy(const trm_matrix_file *in)
{
    return trm_npy_recognize((const char *)in->head, in->have);
}

/* Two opaque bytes are a bfloat16, as in HDF5: so numpy writes the one of ml_dtypes. */
static bool set_type(const trm_npy *array, trm_matrix *matrix)
{
    if (array->kind == 'V' && array->size == 2) {
        trm_matrix_set_type(matrix, TRM_ELEMENT_BFLOAT, 2, array->big_endian);
        matrix->element.opaque = true;
        return true;
    }
    const bool whole = array->size == 1 || array->size == 2 || array->size == 4 || array->size == 8;
    const trm_element_class class = array->kind == 'f'   ? TRM_ELEMENT_FLOAT
                                    : array->kind == 'i' ? TRM_ELEMENT_SIGNED
                                                         : TRM_ELEMENT_UNSIGNED; /* also bool: 0 and 1 */
    if (strchr("fiub", array->kind) == NULL || !whole || (array->kind == 'f' && array->size == 1))
        return false;
    trm_matrix_set_type(matrix, class, (int)array->size, array->big_endian);
    return true;
}

trm_status trm_matrix_look_npy(const trm_matrix_file *in, trm_matrix *matrix, trm_error *err)
{
    trm_npy array;
    const trm_named_file *about = in->about;
    trm_status status = trm_npy_look(about, in->file, in->bytes, &array, err);
    if (status != TRM_OK)
        return status;
    if (!set_type(&array, matrix))
        return trm_fail(
            err, TRM_ERR_DATA,
            "%s '%s': the .npy array holds '%s', needs numbers: float16, bfloat16, float32, float64 or "
            "integers%s",
            about->kind, about->path, array.type,
            array.kind == 'U' || array.kind == 'S' ? "; names of labels go into a .txt, one a line" : "");
    if (array.dimensions == 0)
        return trm_fail(err, TRM_ERR_DATA, "%s '%s': the .npy array is a single value, needs rows",
                        about->kind, about->path);
    strcpy(matrix->name, "npy");
    matrix->dimensions = array.dimensions;
    matrix->rows = array.dimension[0];
    matrix->width = 1;
    int64_t several = 0;
    for (int d = 1; d < array.dimensions;
         d++) /* trm_npy_look has seen to it that it fits, where there are rows */
        if (__builtin_mul_overflow(matrix->width, array.dimension[d], &matrix->width))
            matrix->width = 0;
    if (__builtin_mul_overflow(matrix->width, array.size, &matrix->stride))
        matrix->width = matrix->stride = 0;
    for (int d = 0; d < array.dimensions; d++)
        several += array.dimension[d] > 1;
    if (array.fortran && several > 1)
        return trm_fail(err, TRM_ERR_DATA,
                        "%s '%s': the .npy array is in Fortran order: save numpy.ascontiguousarray of it",
                        about->kind, about->path);
    matrix->offset = array.offset;
    return TRM_OK;
}
