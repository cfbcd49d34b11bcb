/// <reference types="vite/client" />

// What plain tsc (and editors without the Vue plugin) see of a component; vue-tsc reads the real types.
declare module '*.vue' {
  import type { DefineComponent } from 'vue';
  const component: DefineComponent<object, object, unknown>;
  export default component;
}
