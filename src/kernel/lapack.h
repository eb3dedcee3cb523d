/* The functions of LAPACK that are used, by their Fortran names: every library that offers it has these. Matrices are
 * column-major. Inner to kernel/. */
#ifndef TRM_KERNEL_LAPACK_H
#define TRM_KERNEL_LAPACK_H

/* QR factors, and the orthonormal columns of Q from them. */
extern void sgeqrf_(const int *m, const int *n, float *a, const int *lda, float *tau, float *work,
                    const int *lwork, int *info);
extern void sorgqr_(const int *m, const int *n, const int *k, float *a, const int *lda, const float *tau,
                    float *work, const int *lwork, int *info);
/* Eigenvalues, ascending, and eigenvectors of a symmetric matrix, by divide and conquer. */
extern void ssyevd_(const char *jobz, const char *uplo, const int *n, float *a, const int *lda, float *w,
                    float *work, const int *lwork, int *iwork, const int *liwork, int *info);

#endif
