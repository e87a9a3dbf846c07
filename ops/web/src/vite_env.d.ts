/** Names the build of viewer.js, so that a kept older one is not taken. */
declare const __VIEWER__: string;
declare module "*.css";
