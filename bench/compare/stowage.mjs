// The built package, as it is published.
export const stowage = () => import('../../dist/index.js')
export const stowageHttp = () => import('../../dist/http.js')
export const stowageTesting = () => import('../../dist/testing.js')
