package calc

import (
	"context"
	"fmt"
	"math"
	"math/bits"
	"math/cmplx"
	"strings"
)

// fftOf is the discrete Fourier transform: for each frequency its real and its
// imaginary part, one after the other. The inverse one is divided by the length.
func fftOf(_ context.Context, a Args) ([]float64, error) {
	inverse := false
	switch kind := strings.ToLower(first(a.Texts[0])); kind {
	case "forward", "f":
	case "inverse", "i":
		inverse = true
	default:
		return nil, fmt.Errorf("TS_FFT: want forward or inverse, not %q", kind)
	}
	x := make([]complex128, len(a.Numbers[0]))
	for i, v := range a.Numbers[0] {
		x[i] = complex(v, 0)
	}
	x = fft(x, inverse)
	out := make([]float64, 0, 2*len(x))
	for _, c := range x {
		out = append(out, real(c), imag(c))
	}
	return out, nil
}

// fft transforms a list of any length: by Bluestein's way where it is no power of two.
func fft(x []complex128, inverse bool) []complex128 {
	n := len(x)
	if n < 2 || n&(n-1) == 0 {
		powerOfTwo(x, inverse)
		return x
	}
	m := 1 << bits.Len(uint(2*n))
	chirp := make([]complex128, n)
	sign := -1.0
	if inverse {
		sign = 1
	}
	for i := range chirp {
		// i*i modulo 2n keeps the angle exact.
		chirp[i] = cmplx.Rect(1, sign*math.Pi*float64(i*i%(2*n))/float64(n))
	}
	a, b := make([]complex128, m), make([]complex128, m)
	for i, c := range chirp {
		a[i] = x[i] * c
		b[i] = cmplx.Conj(c)
		if i > 0 {
			b[m-i] = b[i]
		}
	}
	powerOfTwo(a, false)
	powerOfTwo(b, false)
	for i := range a {
		a[i] *= b[i]
	}
	powerOfTwo(a, true)
	out := make([]complex128, n)
	for i := range out {
		out[i] = a[i] * chirp[i]
		if inverse {
			out[i] /= complex(float64(n), 0)
		}
	}
	return out
}

// powerOfTwo transforms x in place, whose length is a power of two.
func powerOfTwo(x []complex128, inverse bool) {
	n := len(x)
	if n < 2 {
		return
	}
	shift := 64 - bits.Len(uint(n-1))
	for i := range x {
		if j := int(bits.Reverse64(uint64(i)) >> shift); i < j { //nolint:gosec // below n
			x[i], x[j] = x[j], x[i]
		}
	}
	sign := -2 * math.Pi
	if inverse {
		sign = 2 * math.Pi
	}
	turns := make([]complex128, n/2)
	for i := range turns {
		turns[i] = cmplx.Rect(1, sign*float64(i)/float64(n))
	}
	for size := 2; size <= n; size *= 2 {
		half, step := size/2, n/size
		for start := 0; start < n; start += size {
			for k := range half {
				even, odd := x[start+k], x[start+k+half]*turns[k*step]
				x[start+k], x[start+k+half] = even+odd, even-odd
			}
		}
	}
	if inverse {
		for i := range x {
			x[i] /= complex(float64(n), 0)
		}
	}
}
